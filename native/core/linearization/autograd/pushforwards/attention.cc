#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <limits>
#include <optional>

#include "core/linearization/autograd/pushforwards/pushforward.h"

namespace tc {
namespace {

/// What is added to the scores: −∞ where a boolean mask is false, as the operator has it. The
/// kernel called below adds its mask as it is.
std::optional<at::Tensor> additive(const std::optional<at::Tensor>& mask, const at::Tensor& like) {
  if (!mask || mask->scalar_type() != at::kBool) return mask;
  return at::zeros_like(*mask, like.options())
      .masked_fill_(mask->logical_not(), -std::numeric_limits<double>::infinity());
}

enum : size_t { kQuery, kKey, kValue, kMask, kDropout, kCausal, kScale, kGrouped };

}  // namespace

std::optional<Attention> attentionAt(const Call& call) {
  const auto& arguments = call.arguments;
  const bool grouped = arguments.size() > kGrouped && arguments[kGrouped].toBool();
  if (arguments[kDropout].toDouble() > 0 || grouped) return {};
  const at::Tensor q = arguments[kQuery].toTensor();
  const at::Tensor k = arguments[kKey].toTensor();
  const at::Tensor v = arguments[kValue].toTensor();
  const auto mask = additive(arguments[kMask].toOptional<at::Tensor>(), q);
  if (mask && mask->scalar_type() != q.scalar_type()) return {};
  const double scale = arguments[kScale].isNone() ? 1 / std::sqrt(static_cast<double>(q.size(-1)))
                                                  : arguments[kScale].toScalar().toDouble();
  const at::Tensor p = std::get<1>(at::_scaled_dot_product_attention_math(
      q, k, v, mask, 0.0, arguments[kCausal].toBool(), std::nullopt, scale));
  return Attention{q * scale, k * scale, v, p};
}

namespace {

/// Y = P V with P = softmax(S), S = s Q Kᵀ + M:
/// Ṡ = s (Q̇ Kᵀ + Q K̇ᵀ) + Ṁ, Ṗ = P ⊙ (Ṡ − rowsum(P ⊙ Ṡ)), Ẏ = Ṗ V + P V̇.
/// A row that is masked as a whole has P = 0, and no derivative.
Pushforward scaledDotProduct(const Call& call) {
  const auto parts = attentionAt(call);
  if (!parts) return {};
  std::vector<size_t> which;
  which.reserve(call.active.size());
  for (const Call::Active& each : call.active) which.push_back(each.argument);
  return [p = parts->p, v = parts->v, which, keys = parts->k.mT(),
          queries = parts->q](const Tangents& tangents) -> Tangents {
    at::Tensor scores, sum;
    const auto add = [](at::Tensor& total, const at::Tensor& each) {
      total = total.defined() ? total.add_(each) : each;
    };
    for (size_t i = 0; i < which.size(); ++i) {
      if (which[i] == kQuery) add(scores, at::matmul(tangents[i], keys));
      if (which[i] == kKey) add(scores, at::matmul(queries, tangents[i].mT()));
      if (which[i] == kValue) add(sum, at::matmul(p, tangents[i]));
      if (which[i] == kMask) add(scores, tangents[i].expand(p.sizes()));  // the last of the scores'
    }
    if (scores.defined()) {
      const at::Tensor weights = at::_softmax_backward_data(scores, p, -1, p.scalar_type());
      add(sum, at::matmul(weights, v));
    }
    return {sum};
  };
}

const Rows<Rule> kRows(pushforwardRules(),
                       {{"aten::scaled_dot_product_attention", scaledDotProduct}});

}  // namespace

}  // namespace tc
