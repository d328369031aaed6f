#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/solvers/eigsh.h"

namespace tc {

/// When the search for eigenpairs may end. `values` are all Ritz values, ascending, `wanted` the k
/// wanted ones of them; all float64 on the CPU. What a Ritz value may be off is judged relative to
/// itself, and to what rounding leaves of it: LAPACK's view, relative to the norm of A.
class Convergence {
 public:
  Convergence(const EigshOptions& options, int64_t k, double epsilon)
      : which_(options.which),
        k_(k),
        epsilon_(epsilon),
        tolerance_(options.tolerance > 0 ? options.tolerance : epsilon * kFloor) {}

  /// Whether k pairs have a residual below the tolerance.
  bool isReached(const at::Tensor& wanted, const at::Tensor& residuals,
                 const at::Tensor& values) const;
  /// Whether a verification changed none of the wanted values.
  bool isSame(const at::Tensor& wanted, const at::Tensor& before, const at::Tensor& values) const;
  /// Whether the best of what is not wanted is known well enough to be left out; `order` has the
  /// wanted positions first, `residuals` are of all values.
  bool rivalsAreOut(const at::Tensor& values, const at::Tensor& order,
                    const at::Tensor& residuals) const;

 private:
  static constexpr double kFloor = 10;

  at::Tensor boundOf(const at::Tensor& some, const at::Tensor& values) const;
  double sameWithin(const at::Tensor& values) const;

  Which which_;
  int64_t k_;
  double epsilon_;
  double tolerance_;
};

}  // namespace tc
