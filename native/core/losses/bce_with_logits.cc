#include <ATen/TensorOperators.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/where.h>

#include "core/losses/elementwise.h"

namespace tc {
namespace {

/// w (−P t log σ(y) − (1 − t) log(1 − σ(y))), as `torch.nn.BCEWithLogitsLoss`, with the options
/// `weight` w and `posWeight` P. That is w m times the loss of a target P t/m, with m = 1 + (P − 1)
/// t: a weight of the draw, which the model's distribution knows nothing of.
class BinaryCrossEntropy : public ElementwiseLoss {
 public:
  explicit BinaryCrossEntropy(const LossOptions& options)
      : weight_(options.tensor("weight"), "weight"),
        positive_(options.tensor("posWeight"), "posWeight") {}

  void check(const at::Tensor& y, const at::Tensor& target) const override {
    ElementwiseLoss::check(y, target);
    weight_.check(y);
    positive_.check(y);
  }
  LossPtr rows(int64_t begin, int64_t end, int64_t dims) const override {
    if (!weight_.hasRows(dims) && !positive_.hasRows(dims))
      return ElementwiseLoss::rows(begin, end, dims);
    auto part = std::make_shared<BinaryCrossEntropy>(*this);
    part->weight_ = weight_.rows(begin, end, dims);
    part->positive_ = positive_.rows(begin, end, dims);
    return part;
  }
  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor& target, const Draws& draws,
                             int64_t sample) const override {
    const at::Tensor draw = draws.uniform(y.sizes(), sample, y.scalar_type()).to(y.device());
    const at::Tensor drawn = (draw < at::sigmoid(y)).to(y.scalar_type());
    at::Tensor gradient = residual(y, drawn, 1 - drawn, {});
    if (!weight_.given() && !positive_.given()) return gradient;
    const at::Tensor m = positive_.given() ? mass(target) : at::ones_like(y);
    return gradient * weight_.times(m).sqrt();
  }

 protected:
  at::Tensor values(const at::Tensor& y, const at::Tensor& target) const override {
    return at::binary_cross_entropy_with_logits(y, target, weight_.values(), positive_.values(),
                                                at::Reduction::None);
  }
  at::Tensor slope(const at::Tensor& y, const at::Tensor& target) const override {
    return weight_.times(residual(y, positive_.times(target), 1 - target,
                                  positive_.given() ? mass(target) : at::Tensor()));
  }
  at::Tensor curvature(const at::Tensor& y, const at::Tensor& target) const override {
    const at::Tensor plain = at::sigmoid(y) * at::sigmoid(-y);
    return weight_.times(positive_.given() ? plain * mass(target) : plain);
  }

 private:
  /// m
  at::Tensor mass(const at::Tensor& t) const { return 1 - t + positive_.times(t); }
  /// m σ(y) − a, where m = a + b; an undefined m is one. By s, the smaller of σ(y) and σ(−y) = 1 −
  /// σ(y): where σ(y) rounds to 1, only s has digits left, of the residual and of its derivative m
  /// s (1 − s).
  static at::Tensor residual(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b,
                             const at::Tensor& m) {
    const at::Tensor negative = y < 0;
    const at::Tensor least = at::sigmoid(at::where(negative, y, -y));
    const at::Tensor s = m.defined() ? m * least : least;
    return at::where(negative, s - a, b - s);
  }

  PerElement weight_;
  PerElement positive_;
};

const Rows<LossMaker> kRows(losses(), {{"bce_with_logits", lossOf<BinaryCrossEntropy>}});

}  // namespace

}  // namespace tc
