#include "core/losses/loss.h"

#include <ATen/TensorOperators.h>

#include "core/runtime/error.h"

namespace tc {

Table<LossMaker>& losses() {
  static Table<LossMaker> table("loss");
  return table;
}

LossPtr makeLoss(const std::string& name, const LossOptions& options) {
  return losses().at(name)(options);
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
