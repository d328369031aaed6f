#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "core/losses/objective.h"
#include "core/operators/row_weights.h"

namespace tc {

/// The symmetric matrix C of JᵀCJ: a map on the space of outputs.
class OutputMap {
 public:
  virtual ~OutputMap() = default;

  /// C u for rows [begin, end), where u is [end − begin, …]. A map that is not local is given all
  /// rows at once. May return u itself.
  virtual at::Tensor apply(const at::Tensor& u, int64_t begin, int64_t end) const = 0;
  /// Whether C is block-diagonal over the rows, so that chunks of rows may be passed.
  virtual bool local() const { return true; }
  virtual bool identity() const { return false; }
  /// Bytes that it keeps.
  virtual int64_t bytes() const { return 0; }
};

/// W(I − 1wᵀ/Σw): weights of the rows and, if asked for, centring. The identity without either.
std::unique_ptr<OutputMap> rowWeighting(RowWeights weights);

/// w ⊙ scale ⊙ ∂²(Σ loss)/∂y² at y, the outputs of the whole batch.
std::unique_ptr<OutputMap> lossHessian(Objective objective, at::Tensor y, RowWeights weights);

/// scale Σₘ gₘ gₘᵀ for each row, where g is [M, N, …]: with the gradients of the rows' losses that
/// is the empirical Fisher matrix, with sampled gradients its Monte-Carlo estimate. Centring
/// subtracts the weighted mean of the per-sample gradients.
std::unique_ptr<OutputMap> rankOne(at::Tensor gradients, double scale, RowWeights weights);

}  // namespace tc
