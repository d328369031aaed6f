#include "core/losses/loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/where.h>
#include <c10/util/accumulate.h>

#include "core/runtime/error.h"

namespace tc {

Table<LossMaker>& losses() {
  static Table<LossMaker> table("loss");
  return table;
}

LossPtr makeLoss(const std::string& name, const LossOptions& options) {
  return losses().at(name)(options);
}

at::Tensor unitVectors(const at::Tensor& y) {
  const int64_t outputs = c10::multiply_integers(y.sizes().slice(1));
  return at::eye(outputs, y.options()).unsqueeze(1).expand({outputs, y.size(0), outputs});
}

RowFactors Loss::hessianFactors(const at::Tensor& y, const at::Tensor& target) const {
  // H = Σ e hᵀ for the unit vectors e and h = He, and as it is symmetric
  //     4 H = Σ (a e + h/a)(a e + h/a)ᵀ − (a e − h/a)(a e − h/a)ᵀ
  // for any a, with which both terms should be of one size.
  const at::Tensor units = unitVectors(y);
  at::Tensor products = at::empty(units.sizes(), y.options());
  for (int64_t o = 0; o < units.size(0); ++o)
    products[o].copy_(hessianProduct(y, target, units[o].reshape(y.sizes())).view_as(units[o]));
  const at::Tensor size = products.abs().amax(2, /*keepdim=*/true);
  const at::Tensor a = at::where(size > 0, size, 1).sqrt();
  const at::Tensor left = units * a;
  const at::Tensor right = products / a;
  // Where h is 0 there is nothing to add; where it is NaN, that is.
  const at::Tensor weights = (size.squeeze(2) != 0).to(y.scalar_type()) / 4;
  return {at::cat({left + right, left - right}), at::cat({weights, -weights})};
}

void requireMatrix(const Loss& loss, LossMatrix matrix) {
  const std::string obstacle = loss.obstacle(matrix);
  if (!obstacle.empty()) throw Error("ERR_INVALID_ARGUMENT", obstacle);
}

void checkLikeOutput(const at::Tensor& y, const at::Tensor& target) {
  if (target.sizes() != y.sizes()) {
    throw Error("ERR_SHAPE_MISMATCH", "target should have the shape of the model's output, " +
                                          describeShape(y.sizes()) + ", got " +
                                          describeShape(target.sizes()));
  }
  if (target.scalar_type() != y.scalar_type()) {
    throw Error("ERR_DTYPE_MISMATCH", "target should have the precision of the params");
  }
}

void checkNotNegative(const at::Tensor& values, const std::string& name) {
  // A NaN is neither at least 0 nor finite.
  if (!values.ge(0).logical_and(values.isfinite()).all().item<bool>())
    throw Error("ERR_INVALID_ARGUMENT", name + " should be finite and not negative");
}

std::string describeShape(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace tc
