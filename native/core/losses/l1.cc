#include <ATen/TensorOperators.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "core/losses/elementwise.h"

namespace tc {
namespace {

/// Σ |y − t|, as `torch.nn.L1Loss`. It is linear but for y = t, where PyTorch's derivatives are 0.
class AbsoluteError : public UndrawnLoss {
 protected:
  at::Tensor values(const at::Tensor& y, const at::Tensor& target) const override {
    return (y - target).abs();
  }
  at::Tensor slope(const at::Tensor& y, const at::Tensor& target) const override {
    const at::Tensor r = y - target;
    return at::where(r.isnan(), r, r.sign());
  }
  at::Tensor curvature(const at::Tensor& y, const at::Tensor&) const override {
    return at::zeros({}, y.options());
  }
  std::string whyUndrawn() const override {
    return "of l1 the curvature at the outputs is 0, which no such average is: take "
           "empiricalFisher, or huber in its place";
  }
};

const Rows<LossMaker> kRows(losses(), {{"l1", lossOf<AbsoluteError>}});

}  // namespace

}  // namespace tc
