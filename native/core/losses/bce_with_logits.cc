#include <ATen/TensorOperators.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/where.h>

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
  int64_t datumAxis(const at::Tensor& y) const override { return y.dim() - 1; }
  at::Tensor rowValues(const at::Tensor& y, const at::Tensor& target) const override {
    return at::binary_cross_entropy_with_logits(y, target, {}, {}, at::Reduction::None)
        .reshape({y.size(0), -1})
        .sum(1);
  }
  at::Tensor gradient(const at::Tensor& y, const at::Tensor& target) const override {
    return residual(y, target);
  }
  at::Tensor hessianProduct(const at::Tensor& y, const at::Tensor&,
                            const at::Tensor& u) const override {
    return u * at::sigmoid(y) * at::sigmoid(-y);
  }
  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor&, const Draws& draws,
                             int64_t sample) const override {
    const at::Tensor draw = draws.uniform(y.sizes(), sample, y.scalar_type()).to(y.device());
    return residual(y, (draw < at::sigmoid(y)).to(y.scalar_type()));
  }

 private:
  /// σ(y) − t. By s, the smaller of σ(y) and σ(−y) = 1 − σ(y): where σ(y) rounds to 1, only s has
  /// digits left, of the residual and of its derivative s (1 − s).
  static at::Tensor residual(const at::Tensor& y, const at::Tensor& t) {
    const at::Tensor negative = y < 0;
    const at::Tensor s = at::sigmoid(at::where(negative, y, -y));
    return at::where(negative, s - t, (1 - t) - s);
  }
};

const Rows<LossPtr> kRows(losses(), {{"bce_with_logits", std::make_shared<BinaryCrossEntropy>()}});

}  // namespace

}  // namespace tc
