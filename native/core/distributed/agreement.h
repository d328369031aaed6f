#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>

namespace tc {

/// Why a rank is no part of a sum any more.
enum class Leaving { kNot, kClosed, kStopped, kFailed };

/// What travels with the numbers that ranks add, in the same sum, and shows whether all of them add
/// the same thing: sums of things that do not belong together are found rather than used.
///
/// Fingerprints are cut into digits x of 16 bits. All ranks have the same ones if and only if
/// N Σ x² = (Σ x)² for each; the sums are whole numbers, exact as doubles for up to 2²⁰ ranks.
class Agreement {
 public:
  /// Numbers that it takes.
  static constexpr int64_t kNumbers = 20;
  /// Of further numbers whose sums are wanted.
  static constexpr size_t kExtras = 5;
  using Extras = std::array<double, kExtras>;

  Leaving leaving = Leaving::kNot;
  uint64_t subject = 0;  ///< fingerprint of what is added, in words
  uint64_t vectors = 0;  ///< fingerprint of what was multiplied, or 0
  Extras extras{};

  void write(int rank, double* to) const;
};

/// What the sums of all ranks say.
struct Agreed {
  int leavers = 0;
  int leaver = 0;                   ///< a rank that left, if one did
  Leaving leaving = Leaving::kNot;  ///< how it did
  bool subject = true;              ///< whether all others add the same
  bool vectors = true;              ///< whether all others multiplied the same
  Agreement::Extras extras{};
};
Agreed readAgreement(const double* sums, int worldSize);

uint64_t fingerprint(const std::string& text);
/// Of the bits of a tensor.
uint64_t fingerprint(const at::Tensor& tensor);

}  // namespace tc
