#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <utility>

#include "core/linearization/row_factors.h"
#include "core/losses/data.h"
#include "core/losses/objective.h"
#include "core/operators/row_weights.h"
#include "core/runtime/stop.h"

namespace tc {

/// The matrix C of JᵀCJ, symmetric or antisymmetric: a map on the space of outputs.
class OutputMap {
 public:
  virtual ~OutputMap() = default;

  /// C u for rows [begin, end), where u is [end − begin, …]. A map that is not local is given all
  /// rows at once. May return u itself.
  virtual at::Tensor apply(const at::Tensor& u, int64_t begin, int64_t end) const = 0;
  /// The symmetric part of C, of a map that is local. For as long as this map.
  virtual RowFactorsOf factors() const = 0;
  /// Whether C is block-diagonal over the rows, so that chunks of rows may be passed.
  virtual bool local() const { return true; }
  virtual bool identity() const { return false; }
  /// Whether C = −Cᵀ rather than Cᵀ.
  virtual bool antisymmetric() const { return false; }
  /// Bytes that it keeps.
  virtual int64_t bytes() const { return 0; }
};

/// C u for rows [begin, end) of `batch`, looking at the stop token between some rows of a local map
/// that keeps much for each.
at::Tensor mapped(const OutputMap& map, const at::Tensor& u, int64_t begin, int64_t end,
                  int64_t batch, const StopToken& stop);

/// A map Bᵀ W (I − 1wᵀ/Σw) B: B takes outputs to numbers of the rows or data, w are their weights.
/// The mean that centring subtracts may come from elsewhere, as from all batches of a stream.
class CenteredMap : public OutputMap {
 public:
  CenteredMap(RowWeights weights, double totalWeight)
      : weights_(std::move(weights)), totalWeight_(totalWeight) {}

  at::Tensor apply(const at::Tensor& u, int64_t begin, int64_t end) const final;
  bool local() const final { return !weights_.centered(); }
  double totalWeight() const { return totalWeight_; }

  /// How many numbers each row or datum has: the length of their mean.
  virtual int64_t means() const = 0;
  /// wᵀB u over rows [begin, end), [means].
  virtual at::Tensor weightedSum(const at::Tensor& u, int64_t begin, int64_t end) const = 0;
  /// BᵀW (B u − 1 meanᵀ) over rows [begin, end); an undefined mean is zero.
  virtual at::Tensor applyAround(const at::Tensor& u, const at::Tensor& mean, int64_t begin,
                                 int64_t end) const = 0;

 protected:
  const RowWeights& weights() const { return weights_; }

 private:
  RowWeights weights_;
  double totalWeight_;
};

/// W(I − 1wᵀ/Σw): weights of the rows and, if asked for, centring. The identity without either,
/// whose JᵀCJ is the Gramian. `y` are the outputs of the whole batch.
std::unique_ptr<CenteredMap> rowWeighting(const at::Tensor& y, RowWeights weights);

/// w ⊙ scale ⊙ ∂²(Σ loss)/∂y² at y, the outputs of the whole batch.
std::unique_ptr<OutputMap> lossHessian(Objective objective, at::Tensor y, RowWeights weights);

/// scale Σₘ Σ_d w gₘ_d gₘ_dᵀ over the data of each row, where g is [N, M, …], M gradients by the
/// outputs of each row: with those of the loss that is the empirical Fisher matrix, with sampled
/// ones its Monte-Carlo estimate. Centring subtracts the weighted mean of the gradients of the
/// data, each m for itself; `totalWeight` is the sum of the weights of the data.
std::unique_ptr<CenteredMap> outerProducts(const at::Tensor& gradients, DataLayout layout,
                                           double scale, RowWeights weights, double totalWeight);

}  // namespace tc
