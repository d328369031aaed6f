#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "core/losses/draws.h"
#include "core/runtime/table.h"

namespace tc {

/// A loss of the model's output y, [N, …], and targets, with its derivatives with respect to y in
/// closed form. All of it is of the *sum* over rows and terms; how that is scaled is the business
/// of `Objective`. Every function treats rows on their own, so that chunks of rows may be passed.
class Loss {
 public:
  virtual ~Loss() = default;

  /// Throws Error ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_INVALID_ARGUMENT (a class that does
  /// not exist) where the target does not fit an output of this shape.
  virtual void check(const at::Tensor& y, const at::Tensor& target) const = 0;
  /// How many terms PyTorch's `reduction: 'mean'` divides by: the one place that says so.
  virtual int64_t terms(const at::Tensor& y, const at::Tensor& target) const = 0;
  /// The axis of y, which has at least two, along which one datum lies: outputs whose loss is the
  /// negative log-likelihood of one draw, whatever the other outputs are.
  virtual int64_t datumAxis(const at::Tensor& y) const = 0;
  /// Which data have terms, as a mask of y's shape without the datum's axis; undefined for all.
  virtual at::Tensor countedData(const at::Tensor&) const { return {}; }

  /// Σ loss over the terms of each row, [N].
  virtual at::Tensor rowValues(const at::Tensor& y, const at::Tensor& target) const = 0;
  /// ∂(Σ loss)/∂y, of the shape of y; differentiable with respect to y.
  virtual at::Tensor gradient(const at::Tensor& y, const at::Tensor& target) const = 0;
  /// ∂²(Σ loss)/∂y² · u, of the shape of y.
  virtual at::Tensor hessianProduct(const at::Tensor& y, const at::Tensor& target,
                                    const at::Tensor& u) const = 0;
  /// A gradient whose target is drawn from the distribution that the model predicts, of which the
  /// loss is the negative log-likelihood: its outer product has the Hessian as its expectation
  /// (Kunstner, Hennig & Balles 2019, "Limitations of the empirical Fisher approximation"). What
  /// has no terms is zero.
  virtual at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor& target,
                                     const Draws& draws, int64_t sample) const = 0;
};

using LossPtr = std::shared_ptr<const Loss>;

/// The losses, by PyTorch's names: each in the file of its name, which adds its row.
Table<LossPtr>& losses();

/// Throws Error ERR_SHAPE_MISMATCH or ERR_DTYPE_MISMATCH unless `target` has the shape and the
/// precision of y.
void checkLikeOutput(const at::Tensor& y, const at::Tensor& target);

/// "[3, 4]"
std::string describeShape(at::IntArrayRef shape);

}  // namespace tc
