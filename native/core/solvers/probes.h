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
  /// Standard normal entries, [n].
  at::Tensor normal();

 private:
  at::ScalarType dtype() const { return c10::typeMetaToScalarType(options_.dtype()); }

  Random random_;
  at::TensorOptions options_;
  int64_t n_;
};

}  // namespace tc
