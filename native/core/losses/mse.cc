#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/mse_loss.h>

#include <cmath>

#include "core/losses/elementwise.h"

namespace tc {
namespace {

/// Σ (y − t)², as `torch.nn.MSELoss`.
class MeanSquaredError : public ElementwiseLoss {
 public:
  at::Tensor hessianProduct(const at::Tensor&, const at::Tensor&,
                            const at::Tensor& u) const override {
    return u * 2;
  }
  /// (y − t)² is the negative log-likelihood of a Gaussian around y of variance ½.
  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor&, const Draws& draws,
                             int64_t sample) const override {
    // 2 (y − t) with y − t of variance ½.
    return draws.normal(y.sizes(), sample, y.scalar_type()).to(y.device()) * std::sqrt(2.0);
  }

 protected:
  at::Tensor values(const at::Tensor& y, const at::Tensor& target) const override {
    return at::mse_loss(y, target, at::Reduction::None);
  }
  at::Tensor slope(const at::Tensor& y, const at::Tensor& target) const override {
    return (y - target) * 2;
  }
  at::Tensor curvature(const at::Tensor& y, const at::Tensor&) const override {
    return at::full_like(y, 2);
  }
};

const Rows<LossMaker> kRows(losses(), {{"mse", lossOf<MeanSquaredError>}});

}  // namespace

}  // namespace tc
