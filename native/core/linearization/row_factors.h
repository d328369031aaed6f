#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace tc {

/// Symmetric matrices over the outputs of each row, Cₙ = Σₖ λₖₙ sₖₙ sₖₙᵀ.
struct RowFactors {
  at::Tensor vectors;  ///< s, [k, n, outputs of a row]
  at::Tensor weights;  ///< λ, [k, n]
};

/// The factors of what is block-diagonal over the rows.
struct RowFactorsOf {
  /// What vectors that are made at once may take, where they cannot be fewer.
  static constexpr int64_t kMostBytes = int64_t{1} << 30;

  int64_t most;                                                ///< k is no larger than that
  std::function<RowFactors(int64_t begin, int64_t end)> make;  ///< of rows [begin, end)

  /// How often the vectors of `rows` rows, each of so many bytes, fit `bytes`.
  int64_t fitting(int64_t bytes, int64_t rows, int64_t bytesOfVector) const {
    const double each =
        static_cast<double>(most) * static_cast<double>(rows) * static_cast<double>(bytesOfVector);
    return static_cast<int64_t>(static_cast<double>(bytes) / (each > 1 ? each : 1));
  }
};

}  // namespace tc
