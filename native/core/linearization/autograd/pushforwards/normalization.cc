// Normalizations: y = w ⊙ x̂ + b with x̂ = (x − mean) / deviation.
//
// Over groups of the values of one sample, ∂x̂/∂x is the symmetric map
// L(t) = (t − mean(t) − x̂ mean(x̂ ⊙ t)) / deviation of each group, so that libtorch's kernel for
// its transpose serves. The same holds for softmax: L(t) = y ⊙ (t − Σ y ⊙ t).

#include <ATen/TensorOperators.h>
#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>

#include <algorithm>
#include <optional>

#include "core/linearization/autograd/pushforwards/pushforward.h"

namespace tc {
namespace {

/// ẏ = w ⊙ L(ẋ) + x̂ ⊙ ẇ + ḃ
struct Affine {
  size_t weight;  ///< the argument w; x is argument 0
  size_t bias;
  std::vector<int64_t> shape;  ///< that w and b are viewed in, to broadcast to x
  at::Tensor normalized;       ///< x̂
};

Pushforward affine(const Call& call, Affine parts, std::function<at::Tensor(const at::Tensor&)> l) {
  const bool known = std::ranges::all_of(call.active, [&](const Call::Active& each) {
    return each.argument == 0 || each.argument == parts.weight || each.argument == parts.bias;
  });
  if (!known) return {};
  std::vector<size_t> arguments;
  arguments.reserve(call.active.size());
  for (const Call::Active& each : call.active) arguments.push_back(each.argument);
  if (call.find(parts.weight) == nullptr) parts.normalized.reset();
  auto w = call.arguments[parts.weight].toOptional<at::Tensor>();
  if (w) w = w->view(parts.shape);
  return [parts, arguments, l = std::move(l), w,
          shape = call.results.front().sizes().vec()](const Tangents& tangents) -> Tangents {
    at::Tensor sum;
    for (size_t i = 0; i < arguments.size(); ++i) {
      const at::Tensor& tangent = tangents[i];
      if (arguments[i] == 0) {
        sum = l(tangent);
        if (w) sum = sum.mul_(*w);
      } else if (arguments[i] == parts.weight) {
        const at::Tensor dw = tangent.view(parts.shape);
        sum = sum.defined() ? sum.addcmul_(parts.normalized, dw) : parts.normalized * dw;
      } else {
        const at::Tensor db = tangent.view(parts.shape);
        sum = sum.defined() ? sum.add_(db) : db.expand(shape);
      }
    }
    return {sum};
  };
}

/// Normalizes rows of `length` values; x is cut in such rows.
Pushforward overRows(const Call& call, int64_t length, double eps, Affine parts) {
  const at::Tensor x = call.arguments[0].toTensor();
  const at::Tensor rows = x.reshape({-1, length});
  const auto [normalized, mean, deviation] =
      at::native_layer_norm(rows, {length}, std::nullopt, std::nullopt, eps);
  parts.normalized = normalized.view(x.sizes());
  return affine(call, std::move(parts),
                [rows, mean = mean, inverse = deviation](const at::Tensor& tangent) {
                  return std::get<0>(at::native_layer_norm_backward(
                                         tangent.reshape(rows.sizes()), rows, {rows.size(1)}, mean,
                                         inverse, std::nullopt, std::nullopt, {true, false, false}))
                      .view(tangent.sizes());
                });
}

/// The shape that lets a vector over channels (axis 1) broadcast to x.
std::vector<int64_t> overChannels(const at::Tensor& x) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[1] = x.size(1);
  return shape;
}

Pushforward layerNorm(const Call& call) {
  const auto axes = call.arguments[1].toIntVector();
  int64_t length = 1;
  for (const int64_t size : axes) length *= size;
  if (length == 0) return {};
  return overRows(call, length, call.arguments[4].toDouble(), {2, 3, axes, {}});
}

Pushforward groupNorm(const Call& call) {
  const at::Tensor x = call.arguments[0].toTensor();
  if (x.numel() == 0) return {};
  const int64_t groups = x.size(0) * call.arguments[1].toInt();
  return overRows(call, x.numel() / groups, call.arguments[4].toDouble(),
                  {2, 3, overChannels(x), {}});
}

Pushforward softmax(const Call& call) {
  const at::Tensor y = call.results.front();
  if (!call.only(0) || y.scalar_type() != call.active.front().primal.scalar_type()) return {};
  return [y, axis = call.arguments[1].toInt()](const Tangents& tangents) -> Tangents {
    return {at::_softmax_backward_data(tangents.front(), y, axis, y.scalar_type())};
  };
}

/// ẏ = ẋ − Σ p ⊙ ẋ with p = softmax(x)
Pushforward logSoftmax(const Call& call) {
  const at::Tensor y = call.results.front();
  if (!call.only(0) || y.scalar_type() != call.active.front().primal.scalar_type()) return {};
  return [p = y.exp(), axis = call.arguments[1].toInt()](const Tangents& tangents) -> Tangents {
    const at::Tensor& tangent = tangents.front();
    return {tangent - (p * tangent).sum(axis, /*keepdim=*/true)};
  };
}

const Rows<Rule> kRows(pushforwardRules(), {
                                               {"aten::layer_norm", layerNorm},
                                               {"aten::group_norm", groupNorm},
                                               {"aten::softmax.int", softmax},
                                               {"aten::_softmax", softmax},
                                               {"aten::log_softmax.int", logSoftmax},
                                               {"aten::_log_softmax", logSoftmax},
                                           });

}  // namespace

}  // namespace tc
