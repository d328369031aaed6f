#include "core/distributed/agreement.h"

#include <bit>
#include <cstring>

namespace tc {
namespace {

constexpr int kDigits = 3;
constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;

// Where what is: the leavers, the sum of their ranks, the sum of how they left, then digits and
// their squares of both fingerprints, then the extras.
constexpr int kSubject = 3;
constexpr int kVectors = kSubject + 2 * kDigits;
constexpr int kExtrasAt = kVectors + 2 * kDigits;
static_assert(kExtrasAt + Agreement::kExtras == Agreement::kNumbers);

uint64_t mixed(uint64_t hash, uint64_t word) { return std::rotl((hash ^ word) * kMultiplier, 29); }

void writeDigits(uint64_t fingerprint, double* to) {
  for (int i = 0; i < kDigits; ++i) {
    const auto digit = static_cast<double>((fingerprint >> (16 * i)) & 0xffff);
    to[i] = digit;
    to[kDigits + i] = digit * digit;
  }
}

bool sameDigits(const double* sums, int64_t ranks) {
  for (int i = 0; i < kDigits; ++i) {
    const auto sum = static_cast<int64_t>(sums[i]);
    if (ranks * static_cast<int64_t>(sums[kDigits + i]) != sum * sum) return false;
  }
  return true;
}

uint64_t fingerprint(const void* bytes, size_t size) {
  // Four independent lanes: the multiplications of one would wait for one another.
  uint64_t lanes[4] = {size, 1, 2, 3};
  const char* from = static_cast<const char*>(bytes);
  uint64_t words[4];
  constexpr size_t kBlock = sizeof(words);
  for (; size >= kBlock; size -= kBlock, from += kBlock) {
    std::memcpy(words, from, kBlock);
    for (int i = 0; i < 4; ++i) lanes[i] = mixed(lanes[i], words[i]);
  }
  std::memset(words, 0, kBlock);
  if (size > 0) std::memcpy(words, from, size);
  uint64_t hash = 0;
  for (int i = 0; i < 4; ++i) hash = mixed(hash, mixed(lanes[i], words[i]));
  // The digits are the lower bits.
  hash = mixed(hash, 0);
  return hash ^ (hash >> 32);
}

}  // namespace

void Agreement::write(int rank, double* to) const {
  std::memset(to, 0, kNumbers * sizeof(double));
  if (leaving != Leaving::kNot) {
    to[0] = 1;
    to[1] = rank;
    to[2] = static_cast<double>(leaving);
    return;
  }
  writeDigits(subject, to + kSubject);
  writeDigits(vectors, to + kVectors);
  for (size_t i = 0; i < kExtras; ++i) to[kExtrasAt + i] = extras[i];
}

Agreed readAgreement(const double* sums, int worldSize) {
  Agreed agreed;
  agreed.leavers = static_cast<int>(sums[0]);
  if (agreed.leavers > 0) {
    // Of several, something between them.
    agreed.leaver = static_cast<int>(sums[1]) / agreed.leavers;
    agreed.leaving = static_cast<Leaving>(static_cast<int>(sums[2]) / agreed.leavers);
  }
  const int64_t others = worldSize - agreed.leavers;
  agreed.subject = sameDigits(sums + kSubject, others);
  agreed.vectors = sameDigits(sums + kVectors, others);
  for (size_t i = 0; i < Agreement::kExtras; ++i) agreed.extras[i] = sums[kExtrasAt + i];
  return agreed;
}

uint64_t fingerprint(const std::string& text) { return fingerprint(text.data(), text.size()); }

uint64_t fingerprint(const at::Tensor& tensor) {
  const at::Tensor here = tensor.cpu().contiguous();
  return fingerprint(here.const_data_ptr(), here.nbytes());
}

}  // namespace tc
