#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros_like.h>

#include "core/losses/loss.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// The output itself is the loss of each row, [N]. A mean divides by the rows.
class Output : public Loss {
 public:
  void check(const at::Tensor& y, const at::Tensor& target) const override {
    if (y.numel() != y.size(0)) {
      throw Error("ERR_SHAPE_MISMATCH",
                  "the loss 'output' needs a model of one output for each row, its loss; the "
                  "model's have the shape " +
                      describeShape(y.sizes()));
    }
    if (target.defined())
      throw Error("ERR_INVALID_ARGUMENT", "the loss 'output' takes no target: leave it out");
  }
  double divisor(const at::Tensor& y, const at::Tensor&) const override {
    return static_cast<double>(y.size(0));
  }
  std::optional<int64_t> datumAxis(const at::Tensor&) const override { return std::nullopt; }
  bool needsTarget() const override { return false; }
  std::string obstacle(LossMatrix matrix) const override {
    return matrix == LossMatrix::kGaussNewton
               ? "gaussNewton of the loss 'output' is zero, as the loss is linear in the outputs: "
                 "let the model give what the loss is of, and give that as loss: lossModel; or "
                 "take hessian or empiricalFisher"
               : "fisher draws targets, which the loss 'output' has none of: take hessian or "
                 "empiricalFisher";
  }

  at::Tensor rowValues(const at::Tensor& y, const at::Tensor&) const override {
    return y.reshape({-1});
  }
  at::Tensor gradient(const at::Tensor& y, const at::Tensor&) const override {
    return at::ones_like(y);
  }
  at::Tensor hessianProduct(const at::Tensor&, const at::Tensor&,
                            const at::Tensor& u) const override {
    return at::zeros_like(u);
  }
  at::Tensor sampledGradient(const at::Tensor&, const at::Tensor&, const Draws&,
                             int64_t) const override {
    throw Error("ERR_INVALID_ARGUMENT", obstacle(LossMatrix::kFisher));
  }
};

const Rows<LossMaker> kRows(losses(), {{"output", lossOf<Output>}});

}  // namespace

}  // namespace tc
