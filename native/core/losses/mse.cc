#include <ATen/TensorOperators.h>
#include <ATen/ops/mse_loss.h>

#include <cmath>

#include "core/losses/loss.h"

namespace tc {
namespace {

/// Σ (y − t)², as `torch.nn.MSELoss`, whose mean divides by all elements.
class MeanSquaredError : public Loss {
 public:
  void check(const at::Tensor& y, const at::Tensor& target) const override {
    checkLikeOutput(y, target);
  }
  int64_t terms(const at::Tensor& y, const at::Tensor&) const override { return y.numel(); }
  int64_t datumAxis(const at::Tensor& y) const override { return y.dim() - 1; }
  at::Tensor rowValues(const at::Tensor& y, const at::Tensor& target) const override {
    return at::mse_loss(y, target, at::Reduction::None).reshape({y.size(0), -1}).sum(1);
  }
  at::Tensor gradient(const at::Tensor& y, const at::Tensor& target) const override {
    return (y - target) * 2;
  }
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
};

const Rows<LossPtr> kRows(losses(), {{"mse", std::make_shared<MeanSquaredError>()}});

}  // namespace

}  // namespace tc
