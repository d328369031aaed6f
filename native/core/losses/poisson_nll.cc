#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/poisson_nll_loss.h>

#include "core/losses/elementwise.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// As `torch.nn.PoissonNLLLoss`: e^y − t y of the logarithm y of the rate, or y − t log(y + ε) of
/// the rate y itself; with `full` also Stirling's approximation of log t!.
class PoissonLikelihood : public ElementwiseLoss {
 public:
  explicit PoissonLikelihood(const LossOptions& options)
      : logInput_(options.flag("logInput", true)),
        full_(options.flag("full", false)),
        eps_(options.number("eps", 1e-8)) {
    if (!(eps_ >= 0)) throw Error("ERR_INVALID_ARGUMENT", "the loss's eps should not be negative");
  }

  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor&, const Draws& draws,
                             int64_t sample) const override {
    const at::Tensor rate = logInput_ ? y.exp() : y;
    return slope(y, draws.poisson(rate.cpu(), sample).to(y.device()));
  }

 protected:
  at::Tensor values(const at::Tensor& y, const at::Tensor& target) const override {
    return at::poisson_nll_loss(y, target, logInput_, full_, eps_, at::Reduction::None);
  }
  at::Tensor slope(const at::Tensor& y, const at::Tensor& target) const override {
    return logInput_ ? y.exp() - target : 1 - target / (y + eps_);
  }
  at::Tensor curvature(const at::Tensor& y, const at::Tensor& target) const override {
    return logInput_ ? y.exp() : target / (y + eps_) / (y + eps_);
  }

 private:
  bool logInput_;
  bool full_;
  double eps_;
};

const Rows<LossMaker> kRows(losses(), {{"poisson_nll", lossOf<PoissonLikelihood>}});

}  // namespace

}  // namespace tc
