#include "core/losses/loss.h"

#include "core/runtime/error.h"

namespace tc {

std::shared_ptr<const Loss> findLoss(const std::string& name) {
  if (name == "mse") return meanSquaredError();
  if (name == "cross_entropy") return crossEntropy();
  if (name == "bce_with_logits") return binaryCrossEntropy();
  throw Error("ERR_INVALID_ARGUMENT",
              "loss should be 'mse', 'cross_entropy' or 'bce_with_logits', got '" + name + "'");
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
