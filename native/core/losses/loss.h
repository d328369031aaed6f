#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "core/linearization/row_factors.h"
#include "core/losses/draws.h"
#include "core/losses/options.h"
#include "core/runtime/table.h"

namespace tc {

/// Matrices that not every loss has.
enum class LossMatrix { kGaussNewton, kFisher };

/// A loss of the model's output y, [N, …], and targets, with its derivatives with respect to y in
/// closed form. All of it is of the *sum* over rows and terms; how that is scaled is the business
/// of `Objective`. Every function treats rows on their own, so that chunks of rows may be passed.
class Loss : public std::enable_shared_from_this<Loss> {
 public:
  virtual ~Loss() = default;

  /// Throws Error ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_INVALID_ARGUMENT (a class that does
  /// not exist) where the target or an option does not fit an output of this shape. Of y only the
  /// shape, precision and device are looked at.
  virtual void check(const at::Tensor& y, const at::Tensor& target) const = 0;
  /// What PyTorch's `reduction: 'mean'` divides by, the one place that says so: the number of
  /// terms, or the sum of their weights.
  virtual double divisor(const at::Tensor& y, const at::Tensor& target) const = 0;
  /// The axis of y, which has at least two, along which one datum lies: outputs whose loss is the
  /// negative log-likelihood of one draw, whatever the other outputs are. Nothing where a datum is
  /// a row.
  virtual std::optional<int64_t> datumAxis(const at::Tensor& y) const = 0;
  /// Which data have terms, as a mask of y's shape without the datum's axis; undefined for all.
  virtual at::Tensor countedData(const at::Tensor&) const { return {}; }
  /// The same loss for rows [begin, end) of a batch whose outputs have `dims` axes, where its
  /// options have numbers for each row.
  virtual std::shared_ptr<const Loss> rows(int64_t /*begin*/, int64_t /*end*/,
                                           int64_t /*dims*/) const {
    return shared_from_this();
  }
  /// Whether it compares the outputs with a target; without one, the target is undefined.
  virtual bool needsTarget() const { return true; }
  /// Why there is no such matrix of the loss, and what to take instead; empty where there is.
  virtual std::string obstacle(LossMatrix) const { return ""; }

  /// Σ loss over the terms of each row, [N].
  virtual at::Tensor rowValues(const at::Tensor& y, const at::Tensor& target) const = 0;
  /// ∂(Σ loss)/∂y, of the shape of y; differentiable with respect to y.
  virtual at::Tensor gradient(const at::Tensor& y, const at::Tensor& target) const = 0;
  /// ∂²(Σ loss)/∂y² · u, of the shape of y.
  virtual at::Tensor hessianProduct(const at::Tensor& y, const at::Tensor& target,
                                    const at::Tensor& u) const = 0;
  /// ∂²(Σ loss)/∂y² of each row. By products with unit vectors, two vectors for each output, unless
  /// the loss knows better.
  virtual RowFactors hessianFactors(const at::Tensor& y, const at::Tensor& target) const;
  virtual int64_t hessianFactorsOfOutput() const { return 2; }
  /// A gradient whose target is drawn from the distribution that the model predicts, of which the
  /// loss is the negative log-likelihood: its outer product has as its expectation the Hessian,
  /// averaged over such targets where it depends on them (Kunstner, Hennig & Balles 2019,
  /// "Limitations of the empirical Fisher approximation"). What has no terms is zero, and weights
  /// that the loss gives the terms multiply the outer products.
  virtual at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor& target,
                                     const Draws& draws, int64_t sample) const = 0;
};

using LossPtr = std::shared_ptr<const Loss>;

/// Makes a loss with its options.
using LossMaker = LossPtr (*)(const LossOptions& options);

/// Makes a `T` of its options, or of nothing where it has none.
template <typename T>
LossPtr lossOf(const LossOptions& options) {
  if constexpr (std::is_constructible_v<T, const LossOptions&>) {
    return std::make_shared<const T>(options);
  } else {
    return std::make_shared<const T>();
  }
}

/// The losses, by PyTorch's names: each in the file of its name, which adds its row.
Table<LossMaker>& losses();

/// The loss called `name`. Throws Error ERR_INVALID_ARGUMENT.
LossPtr makeLoss(const std::string& name, const LossOptions& options = {});

/// The unit vectors of the outputs of a row, for each row of y: [outputs, N, outputs].
at::Tensor unitVectors(const at::Tensor& y);

/// Throws Error ERR_INVALID_ARGUMENT where the loss has no such matrix.
void requireMatrix(const Loss& loss, LossMatrix matrix);

/// Throws Error ERR_SHAPE_MISMATCH or ERR_DTYPE_MISMATCH unless `target` has the shape and the
/// precision of y.
void checkLikeOutput(const at::Tensor& y, const at::Tensor& target);

/// Throws Error ERR_INVALID_ARGUMENT unless the numbers of an option are finite and not negative.
void checkNotNegative(const at::Tensor& values, const std::string& name);

/// "[3, 4]"
std::string describeShape(at::IntArrayRef shape);

}  // namespace tc
