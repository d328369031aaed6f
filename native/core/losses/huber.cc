#include <ATen/TensorOperators.h>
#include <ATen/ops/huber_loss.h>
#include <ATen/ops/smooth_l1_loss.h>
#include <ATen/ops/where.h>

#include <limits>

#include "core/losses/elementwise.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// With r = y − t: a parabola of the curvature c for |r| below `width`, of a slope beyond. An r
/// that is no number gives none.
class ClippedSquare : public UndrawnLoss {
 protected:
  ClippedSquare(double width, double curvature, double slope)
      : width_(width), curvature_(curvature), slope_(slope) {}

  at::Tensor slope(const at::Tensor& y, const at::Tensor& target) const override {
    const at::Tensor r = y - target;
    const at::Tensor within = isStep(y) ? r : r * curvature_;
    return at::where(r.abs() >= width_, r.sign() * slope_, within);
  }
  at::Tensor curvature(const at::Tensor& y, const at::Tensor& target) const override {
    const at::Tensor r = y - target;
    return at::where(r.abs() >= width_, 0, isStep(y) ? r : curvature_ + 0 * r);
  }
  double width() const { return width_; }

 private:
  /// Whether the curvature is beyond the numbers of y's precision, and the parabola not among them.
  bool isStep(const at::Tensor& y) const {
    return y.scalar_type() == at::kFloat && width_ < std::numeric_limits<float>::min();
  }

  double width_;
  double curvature_;
  double slope_;
};

/// As `torch.nn.HuberLoss`: ½ r² for |r| < δ, δ (|r| − ½ δ) beyond.
class Huber : public ClippedSquare {
 public:
  explicit Huber(const LossOptions& options)
      : ClippedSquare(options.number("delta", 1), 1, options.number("delta", 1)) {
    if (!(width() > 0)) throw Error("ERR_INVALID_ARGUMENT", "the loss's delta should be positive");
  }

 protected:
  at::Tensor values(const at::Tensor& y, const at::Tensor& target) const override {
    return at::huber_loss(y, target, at::Reduction::None, width());
  }
  std::string whyUndrawn() const override {
    return "of huber none is known here: take gaussNewton or empiricalFisher";
  }
};

/// As `torch.nn.SmoothL1Loss` for β > 0: ½ r²/β for |r| < β, |r| − ½ β beyond.
class SmoothL1 : public ClippedSquare {
 public:
  explicit SmoothL1(double beta) : ClippedSquare(beta, 1 / beta, 1) {}

 protected:
  at::Tensor values(const at::Tensor& y, const at::Tensor& target) const override {
    return at::smooth_l1_loss(y, target, at::Reduction::None, width());
  }
  std::string whyUndrawn() const override {
    return "of smooth_l1 none is known here: take gaussNewton or empiricalFisher";
  }
};

LossPtr makeSmoothL1(const LossOptions& options) {
  const double beta = options.number("beta", 1);
  if (!(beta >= 0)) throw Error("ERR_INVALID_ARGUMENT", "the loss's beta should not be negative");
  // As PyTorch does for 0; the reciprocal of a smaller one would not be finite.
  if (beta < std::numeric_limits<double>::min()) return makeLoss("l1");
  return std::make_shared<const SmoothL1>(beta);
}

const Rows<LossMaker> kRows(losses(), {{"huber", lossOf<Huber>}, {"smooth_l1", makeSmoothL1}});

}  // namespace

}  // namespace tc
