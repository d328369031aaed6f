#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <numbers>

#include "core/losses/elementwise.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// ½ log 2π, which `full` adds to each term.
double constantOf(const LossOptions& options) {
  return options.flag("full", false) ? std::log(2 * std::numbers::pi) / 2 : 0;
}

double epsOf(const LossOptions& options) {
  const double eps = options.number("eps", 1e-6);
  if (!(eps > 0)) throw Error("ERR_INVALID_ARGUMENT", "the loss's eps should be positive");
  return eps;
}

/// ½ (log v + (m − t)²/v), as `torch.nn.GaussianNLLLoss`, of a mean m = y with a variance v that is
/// given.
class GaussianOfKnownVariance : public ElementwiseLoss {
 public:
  explicit GaussianOfKnownVariance(const LossOptions& options)
      : variance_(options.tensor("variance"), "variance"),
        eps_(epsOf(options)),
        constant_(constantOf(options)) {}

  void check(const at::Tensor& y, const at::Tensor& target) const override {
    ElementwiseLoss::check(y, target);
    // PyTorch takes [N] for a variance of each row, broadcasting for one of each column.
    const at::IntArrayRef shape = variance_.values().sizes();
    if (y.dim() > 1 && shape == y.sizes().slice(0, static_cast<size_t>(y.dim() - 1))) {
      throw Error(
          "ERR_SHAPE_MISMATCH",
          "variance of shape " + describeShape(shape) + " for outputs of shape " +
              describeShape(y.sizes()) +
              " does not tell rows from columns; give it a last axis of 1, as in [N, 1], for "
              "one of each row, or a first one, as in [1, C], for one of each column");
    }
    variance_.check(y);
  }
  LossPtr rows(int64_t begin, int64_t end, int64_t dims) const override {
    if (!variance_.hasRows(dims)) return ElementwiseLoss::rows(begin, end, dims);
    auto part = std::make_shared<GaussianOfKnownVariance>(*this);
    part->variance_ = variance_.rows(begin, end, dims);
    return part;
  }
  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor&, const Draws& draws,
                             int64_t sample) const override {
    return draws.normal(y.sizes(), sample, y.scalar_type()).to(y.device()) / variance().sqrt();
  }

 protected:
  at::Tensor values(const at::Tensor& y, const at::Tensor& target) const override {
    return (variance().log() + (y - target).square() / variance()) / 2 + constant_;
  }
  at::Tensor slope(const at::Tensor& y, const at::Tensor& target) const override {
    return (y - target) / variance();
  }
  at::Tensor curvature(const at::Tensor&, const at::Tensor&) const override {
    return 1 / variance();
  }

 private:
  at::Tensor variance() const { return variance_.values().clamp_min(eps_); }

  PerElement variance_;
  double eps_;
  double constant_;
};

/// The same where the model predicts both: y is [N, …, 2C], C means and then their C variances,
/// and the target [N, …, C].
class GaussianOfPredictedVariance : public Loss {
 public:
  explicit GaussianOfPredictedVariance(const LossOptions& options)
      : eps_(epsOf(options)), constant_(constantOf(options)) {}

  void check(const at::Tensor& y, const at::Tensor& target) const override {
    if (y.dim() < 2 || y.size(-1) % 2 != 0) {
      throw Error("ERR_SHAPE_MISMATCH",
                  "gaussian_nll needs an output of shape [N, ..., 2C], C means and C variances, "
                  "the model's is " +
                      describeShape(y.sizes()) +
                      "; with an output of means alone give { name: 'gaussian_nll', variance }");
    }
    if (target.sizes() != half(y, 0).sizes()) {
      throw Error("ERR_SHAPE_MISMATCH", "target should have the shape of the means, " +
                                            describeShape(half(y, 0).sizes()) +
                                            ", for an output of shape " + describeShape(y.sizes()) +
                                            ", got " + describeShape(target.sizes()));
    }
    checkLikeOutput(half(y, 0), target);
  }
  double divisor(const at::Tensor&, const at::Tensor& target) const override {
    return static_cast<double>(target.numel());
  }
  std::optional<int64_t> datumAxis(const at::Tensor& y) const override { return y.dim() - 1; }

  at::Tensor rowValues(const at::Tensor& y, const at::Tensor& target) const override {
    const at::Tensor v = variance(y);
    const at::Tensor values = (v.log() + (half(y, 0) - target).square() / v) / 2 + constant_;
    return values.reshape({y.size(0), -1}).sum(1);
  }
  at::Tensor gradient(const at::Tensor& y, const at::Tensor& target) const override {
    const at::Tensor v = variance(y);
    const at::Tensor r = half(y, 0) - target;
    return at::cat({r / v, (1 / v - (r / v).square()) / 2}, -1);
  }
  at::Tensor hessianProduct(const at::Tensor& y, const at::Tensor& target,
                            const at::Tensor& u) const override {
    const at::Tensor v = variance(y);
    const at::Tensor r = (half(y, 0) - target) / v;
    const at::Tensor ofMeans = half(u, 0);
    const at::Tensor ofVariances = half(u, 1);
    return at::cat({(ofMeans - r * ofVariances) / v,
                    ((r.square() - 1 / (2 * v)) * ofVariances - r * ofMeans) / v},
                   -1);
  }
  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor&, const Draws& draws,
                             int64_t sample) const override {
    const at::Tensor v = variance(y);
    const at::Tensor z = draws.normal(v.sizes(), sample, y.scalar_type()).to(y.device());
    return at::cat({z / v.sqrt(), (1 - z.square()) / (2 * v)}, -1);
  }

 private:
  /// The means (0) or the variances (1).
  static at::Tensor half(const at::Tensor& y, int64_t which) {
    const int64_t size = y.size(-1) / 2;
    return y.narrow(-1, which * size, size);
  }
  /// At least ε. As in PyTorch, derivatives pass through that as if it were not there.
  at::Tensor variance(const at::Tensor& y) const {
    const at::Tensor given = half(y, 1);
    if ((given < 0).any().item<bool>()) {
      throw Error("ERR_INVALID_ARGUMENT",
                  "gaussian_nll takes the second half of the outputs for variances, some of which "
                  "are negative: let the model end in softplus or exp there");
    }
    return at::where(given >= eps_, given, given + (eps_ - given).detach());
  }

  double eps_;
  double constant_;
};

LossPtr make(const LossOptions& options) {
  return options.tensor("variance").defined() ? lossOf<GaussianOfKnownVariance>(options)
                                              : lossOf<GaussianOfPredictedVariance>(options);
}

const Rows<LossMaker> kRows(losses(), {{"gaussian_nll", make}});

}  // namespace

}  // namespace tc
