#include <ATen/TensorOperators.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/sigmoid.h>

#include "core/losses/loss.h"

namespace tc {
namespace {

/// Σ −t log σ(y) − (1 − t) log(1 − σ(y)), as `torch.nn.BCEWithLogitsLoss`.
class BinaryCrossEntropy : public Loss {
 public:
  void check(const at::Tensor& y, const at::Tensor& target) const override {
    checkLikeOutput(y, target);
  }
  int64_t terms(const at::Tensor& y, const at::Tensor&) const override { return y.numel(); }
  at::Tensor rowValues(const at::Tensor& y, const at::Tensor& target) const override {
    return at::binary_cross_entropy_with_logits(y, target, {}, {}, at::Reduction::None)
        .reshape({y.size(0), -1})
        .sum(1);
  }
  at::Tensor gradient(const at::Tensor& y, const at::Tensor& target) const override {
    return at::sigmoid(y) - target;
  }
  at::Tensor hessianProduct(const at::Tensor& y, const at::Tensor&,
                            const at::Tensor& u) const override {
    const at::Tensor p = at::sigmoid(y);
    return u * p * (1 - p);
  }
  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor&,
                             Random& random) const override {
    const at::Tensor p = at::sigmoid(y);
    const at::Tensor draw = random.uniform(y.sizes(), 0, 1, y.scalar_type()).to(y.device());
    return p - (draw < p).to(y.scalar_type());
  }
};

}  // namespace

std::shared_ptr<const Loss> binaryCrossEntropy() { return std::make_shared<BinaryCrossEntropy>(); }

}  // namespace tc
