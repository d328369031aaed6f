#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/matmul.h>

#include <cmath>

#include "core/linearization/pushforwards/pushforward.h"

namespace tc {
namespace {

/// Y = P V with P = softmax(s Q Kᵀ + mask):
/// Ṡ = s (Q̇ Kᵀ + Q K̇ᵀ), Ṗ = P ⊙ (Ṡ − rowsum(P ⊙ Ṡ)), Ẏ = Ṗ V + P V̇.
Pushforward scaledDotProduct(const Call& call) {
  enum : size_t { kQuery, kKey, kValue, kMask, kDropout, kCausal, kScale, kGrouped };
  const auto& arguments = call.arguments;
  const bool grouped = arguments.size() > kGrouped && arguments[kGrouped].toBool();
  if (call.find(kMask) != nullptr || arguments[kDropout].toDouble() > 0 || grouped) return {};
  const at::Tensor q = arguments[kQuery].toTensor();
  const at::Tensor k = arguments[kKey].toTensor();
  const at::Tensor v = arguments[kValue].toTensor();
  const auto mask = arguments[kMask].toOptional<at::Tensor>();
  const double scale = arguments[kScale].isDouble()
                           ? arguments[kScale].toDouble()
                           : 1 / std::sqrt(static_cast<double>(q.size(-1)));
  const at::Tensor p = std::get<1>(at::_scaled_dot_product_attention_math(
      q, k, v, mask, 0.0, arguments[kCausal].toBool(), std::nullopt, scale));

  std::vector<size_t> which;
  for (const Call::Active& each : call.active) which.push_back(each.argument);
  return [p, v, which, keys = k.mT() * scale,
          queries = q * scale](const Tangents& tangents) -> Tangents {
    at::Tensor scores, sum;
    const auto add = [](at::Tensor& total, const at::Tensor& each) {
      total = total.defined() ? total.add_(each) : each;
    };
    for (size_t i = 0; i < which.size(); ++i) {
      if (which[i] == kQuery) add(scores, at::matmul(tangents[i], keys));
      if (which[i] == kKey) add(scores, at::matmul(queries, tangents[i].mT()));
      if (which[i] == kValue) add(sum, at::matmul(p, tangents[i]));
    }
    if (scores.defined()) {
      const at::Tensor weights = at::_softmax_backward_data(scores, p, -1, p.scalar_type());
      add(sum, at::matmul(weights, v));
    }
    return {sum};
  };
}

}  // namespace

std::span<const NamedRule> attentionRules() {
  static const std::vector<NamedRule> rules = {
      {"aten::scaled_dot_product_attention", scaledDotProduct}};
  return rules;
}

}  // namespace tc
