#include "core/distributed/agreement.h"

#include <ATen/ops/zeros.h>

#include <set>
#include <vector>

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

namespace {

/// What the sum over so many ranks says, of which one may differ.
Agreed ofRanks(int worldSize, const Agreement& all, int odd = -1, const Agreement& other = {}) {
  std::vector<double> sums(Agreement::kNumbers);
  std::vector<double> own(Agreement::kNumbers);
  for (int rank = 0; rank < worldSize; ++rank) {
    (rank == odd ? other : all).write(rank, own.data());
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += own[i];
  }
  return readAgreement(sums.data(), worldSize);
}

}  // namespace

TEST_CASE("ranks agree if and only if their fingerprints are the same") {
  for (const int worldSize : {1, 2, 3, 64, 4096}) {
    CAPTURE(worldSize);
    for (const uint64_t each :
         {uint64_t{0}, uint64_t{1}, ~uint64_t{0}, uint64_t{0x123456789abcdef}}) {
      Agreement all;
      all.subject = each;
      all.vectors = ~each;
      all.extras = {1, 0.5, -3};
      const Agreed agreed = ofRanks(worldSize, all);
      CHECK(agreed.subject);
      CHECK(agreed.vectors);
      CHECK(agreed.leavers == 0);
      CHECK(agreed.extras[0] == worldSize);
      CHECK(agreed.extras[1] == worldSize * 0.5);
      CHECK(agreed.extras[2] == worldSize * -3);
      for (int bit = 0; bit < 48 && worldSize > 1; bit += 5) {
        Agreement other = all;
        other.subject ^= uint64_t{1} << bit;
        CHECK(!ofRanks(worldSize, all, worldSize - 1, other).subject);
        CHECK(ofRanks(worldSize, all, worldSize - 1, other).vectors);
      }
    }
  }
}

TEST_CASE("a rank that leaves is named, and the others agree all the same") {
  Agreement all;
  all.subject = 7;
  Agreement leaver;
  leaver.leaving = Leaving::kFailed;
  const Agreed agreed = ofRanks(5, all, 3, leaver);
  CHECK(agreed.leavers == 1);
  CHECK(agreed.leaver == 3);
  CHECK(agreed.leaving == Leaving::kFailed);
  CHECK(agreed.subject);
}

TEST_CASE("fingerprints follow every bit and the length") {
  std::set<uint64_t> found;
  for (int64_t length = 0; length < 70; ++length) {
    at::Tensor zeros = at::zeros({length}, at::kFloat);
    found.insert(fingerprint(zeros) & 0xffffffffffff);
    for (int64_t i = 0; i < length; ++i) {
      zeros[i] = -0.0F;  // one bit
      found.insert(fingerprint(zeros) & 0xffffffffffff);
      zeros[i] = 0;
    }
  }
  CHECK(found.size() == 70 + 69 * 70 / 2);
}
