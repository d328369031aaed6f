#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/softmax.h>

#include "core/losses/loss.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// PyTorch's default `ignore_index`: such targets contribute nothing and are not counted.
constexpr int64_t kIgnored = -100;

/// Σ −log softmax(y)[t] over class indices t, as `torch.nn.CrossEntropyLoss`: y is [N, C] with
/// targets [N], or [N, C, d…] with targets [N, d…].
class CrossEntropy : public Loss {
 public:
  void check(const at::Tensor& y, const at::Tensor& target) const override {
    if (y.dim() < 2) {
      throw Error("ERR_SHAPE_MISMATCH",
                  "cross_entropy needs an output of shape [N, C, ...], the model's is " +
                      describeShape(y.sizes()));
    }
    if (target.scalar_type() != at::kLong && target.scalar_type() != at::kInt) {
      throw Error("ERR_DTYPE_MISMATCH",
                  "target should hold class indices (Int32Array or BigInt64Array) for "
                  "cross_entropy");
    }
    auto expected = y.sizes().vec();
    expected.erase(expected.begin() + 1);
    if (target.sizes() != at::IntArrayRef(expected)) {
      throw Error("ERR_SHAPE_MISMATCH", "target should have the shape " + describeShape(expected) +
                                            " for an output of shape " + describeShape(y.sizes()) +
                                            ", got " + describeShape(target.sizes()));
    }
    const at::Tensor wrong = ((target < 0) | (target >= y.size(1))) & (target != kIgnored);
    if (wrong.any().item<bool>()) {
      throw Error("ERR_INVALID_ARGUMENT",
                  "target has the class " +
                      std::to_string(target.masked_select(wrong)[0].item<int64_t>()) +
                      ", the model's output has classes 0 to " + std::to_string(y.size(1) - 1));
    }
  }

  int64_t terms(const at::Tensor&, const at::Tensor& target) const override {
    return countedData(target).sum().item<int64_t>();
  }
  int64_t datumAxis(const at::Tensor&) const override { return 1; }
  at::Tensor countedData(const at::Tensor& target) const override { return target != kIgnored; }

  at::Tensor rowValues(const at::Tensor& y, const at::Tensor& target) const override {
    return at::cross_entropy_loss(y, target.to(at::kLong), {}, at::Reduction::None, kIgnored)
        .reshape({y.size(0), -1})
        .sum(1);
  }

  at::Tensor gradient(const at::Tensor& y, const at::Tensor& target) const override {
    const at::Tensor classes = target.to(at::kLong).clamp_min(0).unsqueeze(1);
    return masked(residual(at::softmax(y, 1), classes), target);
  }

  at::Tensor hessianProduct(const at::Tensor& y, const at::Tensor& target,
                            const at::Tensor& u) const override {
    const at::Tensor p = at::softmax(y, 1);
    if (y.numel() == 0) return u;
    // diag(p) − ppᵀ maps constants to 0. With the u of the likeliest class as the origin nothing
    // cancels where its p is near 1.
    const at::Tensor apart = u - u.gather(1, y.argmax(1, /*keepdim=*/true));
    return masked(p * (apart - (p * apart).sum(1, /*keepdim=*/true)), target);
  }

  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor& target, const Draws& draws,
                             int64_t sample) const override {
    auto shape = y.sizes().vec();
    shape[1] = 1;
    const at::Tensor draw = draws.uniform(shape, sample, y.scalar_type()).to(y.device());
    const at::Tensor p = at::softmax(y, 1);
    // The class whose interval of the cumulative distribution the draw falls into.
    const at::Tensor drawn =
        (p.cumsum(1) <= draw).sum(1, /*keepdim=*/true).clamp_max(y.size(1) - 1);
    return masked(residual(p, drawn), target);
  }

 private:
  /// p − onehot(t), where p_t − 1 is minus the sum of the others: 1 − p_t has no digits left where
  /// p_t rounds to 1.
  static at::Tensor residual(const at::Tensor& p, const at::Tensor& t) {
    const at::Tensor others = p.scatter(1, t, 0);
    return others.scatter(1, t, -others.sum(1, /*keepdim=*/true));
  }
  at::Tensor masked(const at::Tensor& values, const at::Tensor& target) const {
    return values * countedData(target).unsqueeze(1).to(values.scalar_type());
  }
};

const Rows<LossPtr> kRows(losses(), {{"cross_entropy", std::make_shared<CrossEntropy>()}});

}  // namespace

}  // namespace tc
