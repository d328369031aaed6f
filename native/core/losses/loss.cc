#include "core/losses/loss.h"

#include "core/runtime/error.h"

namespace tc {

Table<LossPtr>& losses() {
  static Table<LossPtr> table("loss");
  return table;
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

std::string describeShape(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace tc
