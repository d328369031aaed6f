#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "core/losses/loss.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// PyTorch's default `ignore_index`.
constexpr int64_t kIgnored = -100;

/// −Σ_c q_c log softmax(y)_c, as `torch.nn.CrossEntropyLoss`: y is [N, C] with targets [N], or
/// [N, C, d…] with targets [N, d…], of class indices; or of the shape of y, of class probabilities.
///
/// The coefficients q have the options in them: class weights w, the smoothing s, and no targets
/// where these are ignored, which are not counted either. With p = softmax(y) and the mass Q = Σ q,
///
///     class t          q = (1 − s) w_t e_t + (s/C) w      mean: over Σ w_t
///     probabilities t  q = w ⊙ ((1 − s) t + s/C)          mean: over the number of data
///
/// the gradient is Q p − q, and the Hessian Q (diag p − p pᵀ).
class CrossEntropy : public Loss {
 public:
  explicit CrossEntropy(const LossOptions& options)
      : weight_(options.tensor("weight")),
        ignored_(options.integer("ignoreIndex", kIgnored)),
        smoothing_(options.number("labelSmoothing", 0)) {
    if (!(smoothing_ >= 0 && smoothing_ <= 1))
      throw Error("ERR_INVALID_ARGUMENT", "the loss's labelSmoothing should be from 0 to 1");
  }

  void check(const at::Tensor& y, const at::Tensor& target) const override {
    if (y.dim() < 2) {
      throw Error("ERR_SHAPE_MISMATCH",
                  "cross_entropy needs an output of shape [N, C, ...], the model's is " +
                      describeShape(y.sizes()));
    }
    if (weight_.defined()) {
      if (weight_.dim() != 1 || weight_.size(0) != y.size(1)) {
        throw Error("ERR_SHAPE_MISMATCH", "the loss's weight should have one element for each of " +
                                              std::to_string(y.size(1)) + " classes, got " +
                                              describeShape(weight_.sizes()));
      }
      if (weight_.scalar_type() != y.scalar_type())
        throw Error("ERR_DTYPE_MISMATCH", "the loss's weight should have the precision of params");
      checkNotNegative(weight_, "the loss's weight");
    }
    auto expected = y.sizes().vec();
    expected.erase(expected.begin() + 1);
    if (hasProbabilities(target)) {
      checkProbabilities(y, target, expected);
    } else {
      checkClasses(y, target, expected);
    }
  }

  double divisor(const at::Tensor&, const at::Tensor& target) const override {
    if (hasProbabilities(target)) {
      double data = 1;
      for (int64_t axis = 0; axis < target.dim(); ++axis)
        if (axis != 1) data *= static_cast<double>(target.size(axis));
      return data;
    }
    const at::Tensor counted = countedData(target);
    if (!weight_.defined()) return static_cast<double>(counted.sum().item<int64_t>());
    const at::Tensor classes = indicesOf(target).masked_select(counted);
    return weight_.index_select(0, classes).sum(at::kDouble).item<double>();
  }
  std::optional<int64_t> datumAxis(const at::Tensor&) const override { return 1; }
  at::Tensor countedData(const at::Tensor& target) const override {
    return hasProbabilities(target) ? at::Tensor() : indicesOf(target) != ignored_;
  }

  at::Tensor rowValues(const at::Tensor& y, const at::Tensor& target) const override {
    const at::Tensor given = hasProbabilities(target) ? target : indicesOf(target);
    return at::cross_entropy_loss(y, given, weight_, at::Reduction::None, ignored_, smoothing_)
        .reshape({y.size(0), -1})
        .sum(1);
  }

  at::Tensor gradient(const at::Tensor& y, const at::Tensor& target) const override {
    const at::Tensor p = at::softmax(y, 1);
    if (hasProbabilities(target)) {
      const at::Tensor q = coefficients(y, target);
      return p * q.sum(1, /*keepdim=*/true) - q;
    }
    const at::Tensor classes = classesOf(target);
    at::Tensor result = residual(p, classes);
    if (weight_.defined()) result = result * weightOf(classes);
    if (smoothing_ > 0) {
      const at::Tensor w = weights(y);
      const at::Tensor even = p * w.sum(1, /*keepdim=*/true) - w;
      result = result * (1 - smoothing_) + even * (smoothing_ / static_cast<double>(y.size(1)));
    }
    return masked(result, target);
  }

  at::Tensor hessianProduct(const at::Tensor& y, const at::Tensor& target,
                            const at::Tensor& u) const override {
    const at::Tensor p = at::softmax(y, 1);
    if (y.numel() == 0) return u;
    // diag(p) − ppᵀ maps constants to 0. With the u of the likeliest class as the origin nothing
    // cancels where its p is near 1.
    const at::Tensor apart = u - u.gather(1, y.argmax(1, /*keepdim=*/true));
    const at::Tensor product = p * (apart - (p * apart).sum(1, /*keepdim=*/true));
    return product * mass(y, target);
  }

  /// Σ_c p_c (e_c − p)(e_c − p)ᵀ = diag p − p pᵀ, for each datum of a row.
  RowFactors hessianFactors(const at::Tensor& y, const at::Tensor& target) const override {
    const at::Tensor p = at::softmax(y, 1);
    const at::Tensor weights = (p * mass(y, target)).reshape({y.size(0), -1}).t();
    const int64_t outputs = weights.size(0);
    const at::Tensor units = unitVectors(y).reshape({outputs, y.size(0), y.size(1), -1});
    const at::Tensor ofDatum = units.sum(2, /*keepdim=*/true);
    at::Tensor vectors = ofDatum * p.reshape({y.size(0), y.size(1), -1});
    vectors.neg_().add_(units);
    return {vectors.reshape({outputs, y.size(0), outputs}), weights};
  }
  int64_t hessianFactorsOfOutput() const override { return 1; }

  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor& target, const Draws& draws,
                             int64_t sample) const override {
    auto shape = y.sizes().vec();
    shape[1] = 1;
    const at::Tensor draw = draws.uniform(shape, sample, y.scalar_type()).to(y.device());
    const at::Tensor p = at::softmax(y, 1);
    // The class whose interval of the cumulative distribution the draw falls into.
    const at::Tensor drawn =
        (p.cumsum(1) <= draw).sum(1, /*keepdim=*/true).clamp_max(y.size(1) - 1);
    return residual(p, drawn) * mass(y, target).sqrt();
  }

 private:
  /// In 64 bits, which an index to ignore may need.
  static at::Tensor indicesOf(const at::Tensor& target) { return target.to(at::kLong); }
  static bool hasProbabilities(const at::Tensor& target) { return target.is_floating_point(); }

  void checkClasses(const at::Tensor& y, const at::Tensor& target, at::IntArrayRef expected) const {
    if (target.scalar_type() != at::kLong && target.scalar_type() != at::kInt) {
      throw Error("ERR_DTYPE_MISMATCH",
                  "target should hold class indices (Int32Array or BigInt64Array) for "
                  "cross_entropy, or class probabilities");
    }
    if (target.sizes() != expected) {
      throw Error("ERR_SHAPE_MISMATCH", "target should have the shape " + describeShape(expected) +
                                            " for an output of shape " + describeShape(y.sizes()) +
                                            ", got " + describeShape(target.sizes()));
    }
    const at::Tensor indices = indicesOf(target);
    const at::Tensor wrong = ((indices < 0) | (indices >= y.size(1))) & (indices != ignored_);
    if (wrong.any().item<bool>()) {
      throw Error("ERR_INVALID_ARGUMENT",
                  "target has the class " +
                      std::to_string(indices.masked_select(wrong)[0].item<int64_t>()) +
                      ", the model's output has classes 0 to " + std::to_string(y.size(1) - 1));
    }
  }

  void checkProbabilities(const at::Tensor& y, const at::Tensor& target,
                          at::IntArrayRef classes) const {
    if (target.sizes() == classes && target.sizes() != y.sizes()) {
      throw Error("ERR_DTYPE_MISMATCH",
                  "target should hold class indices (Int32Array or BigInt64Array) for "
                  "cross_entropy; class probabilities have the shape of the model's output, " +
                      describeShape(y.sizes()));
    }
    checkLikeOutput(y, target);
    if (ignored_ >= 0)
      throw Error("ERR_INVALID_ARGUMENT", "the loss's ignoreIndex is for targets of class indices");
    if ((target < 0).any().item<bool>())
      throw Error("ERR_INVALID_ARGUMENT", "target has class probabilities that are negative");
  }

  /// Class indices that exist, [N, 1, d…]; those that are ignored are 0.
  at::Tensor classesOf(const at::Tensor& target) const {
    const at::Tensor classes = indicesOf(target);
    return at::where(classes == ignored_, at::zeros_like(classes), classes).unsqueeze(1);
  }
  /// w_t of classes [N, 1, d…].
  at::Tensor weightOf(const at::Tensor& classes) const {
    return weight_.index_select(0, classes.reshape({-1})).view(classes.sizes());
  }
  /// w, [1, C, 1…].
  at::Tensor weights(const at::Tensor& y) const {
    std::vector<int64_t> shape(static_cast<size_t>(y.dim()), 1);
    shape[1] = y.size(1);
    return weight_.defined() ? weight_.view(shape) : at::ones(shape, y.options());
  }
  /// q of probabilities.
  at::Tensor coefficients(const at::Tensor& y, const at::Tensor& target) const {
    const at::Tensor smooth =
        smoothing_ > 0 ? target * (1 - smoothing_) + smoothing_ / static_cast<double>(y.size(1))
                       : target;
    return weight_.defined() ? smooth * weights(y) : smooth;
  }
  /// Q, [N, 1, d…].
  at::Tensor mass(const at::Tensor& y, const at::Tensor& target) const {
    if (hasProbabilities(target)) return coefficients(y, target).sum(1, /*keepdim=*/true);
    at::Tensor counted = countedData(target).unsqueeze(1).to(y.scalar_type());
    if (!weight_.defined()) return counted;
    at::Tensor sum = weightOf(classesOf(target));
    if (smoothing_ > 0) sum = sum * (1 - smoothing_) + weight_.mean() * smoothing_;
    return sum * counted;
  }
  /// p − onehot(t), where p_t − 1 is minus the sum of the others: 1 − p_t has no digits left where
  /// p_t rounds to 1.
  static at::Tensor residual(const at::Tensor& p, const at::Tensor& t) {
    if (p.size(1) == 1) return p - p;  // 0 where p is a number
    const at::Tensor others = p.scatter(1, t, 0);
    return others.scatter(1, t, -others.sum(1, /*keepdim=*/true));
  }
  at::Tensor masked(const at::Tensor& values, const at::Tensor& target) const {
    return values * countedData(target).unsqueeze(1).to(values.scalar_type());
  }

  at::Tensor weight_;  ///< w, [C]; undefined for ones
  int64_t ignored_;
  double smoothing_;
};

const Rows<LossMaker> kRows(losses(), {{"cross_entropy", lossOf<CrossEntropy>}});

}  // namespace

}  // namespace tc
