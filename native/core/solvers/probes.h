#pragma once

#include <ATen/core/Tensor.h>

#include "core/operators/linear_operator.h"
#include "core/runtime/random.h"

namespace tc {

/// Random probing vectors for estimators, drawn on the CPU (the same numbers on every device) and
/// moved to the operator's device.
class Probes {
 public:
  Probes(const LinearOperator& a, uint64_t seed)
      : random_(seed), options_(a.options()), n_(a.cols()) {}

  /// Entries ±1 with equal probability, [n].
  at::Tensor rademacher();
  /// Entries of either sign with squares uniform between 1/2 and 3/2, [n]: of mean 0 and variance 1
  /// like those ±1, and away from 0, but with a density, so that a matrix of rank r takes l of them
  /// to min(l, r) independent vectors, which ±1 need not be.
  at::Tensor bounded();
  /// Standard normal entries, [n].
  at::Tensor normal();

 private:
  at::ScalarType dtype() const { return c10::typeMetaToScalarType(options_.dtype()); }

  Random random_;
  at::TensorOptions options_;
  int64_t n_;
};

}  // namespace tc
