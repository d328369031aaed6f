#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/kl_div.h>
#include <ATen/ops/zeros.h>

#include "core/losses/elementwise.h"

namespace tc {
namespace {

/// Σ t (log t − y) of log-probabilities y and probabilities t (or their logarithms), as
/// `torch.nn.KLDivLoss`: linear in y, so that all curvature is the model's.
class KullbackLeibler : public UndrawnLoss {
 public:
  explicit KullbackLeibler(const LossOptions& options)
      : logTarget_(options.flag("logTarget", false)) {}

 protected:
  at::Tensor values(const at::Tensor& y, const at::Tensor& target) const override {
    return at::kl_div(y, target, at::Reduction::None, logTarget_);
  }
  at::Tensor slope(const at::Tensor&, const at::Tensor& target) const override {
    return logTarget_ ? -target.exp() : -target;
  }
  at::Tensor curvature(const at::Tensor& y, const at::Tensor&) const override {
    return at::zeros({}, y.options());
  }
  std::string whyUndrawn() const override {
    return "kl_div does not say along which axis the probabilities lie: take cross_entropy of the "
           "logits with the probabilities as its targets, which differs by a constant";
  }

 private:
  bool logTarget_;
};

const Rows<LossMaker> kRows(losses(), {{"kl_div", lossOf<KullbackLeibler>}});

}  // namespace

}  // namespace tc
