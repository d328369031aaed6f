// Margins between classes: libtorch has no forward mode and no second derivative of these losses.

#include <optional>

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

/// Sums or means of losses, as `reduction` says; 0 leaves them.
std::optional<Argument> reduced(Rewriting& r, const Argument& losses, const NamedArguments& given) {
  constexpr double kMean = 1;
  constexpr double kSum = 2;
  const auto reduction = given.number("reduction", kMean);
  if (reduction == 0) return losses;
  if (reduction == kMean) return r.add("aten::mean", {losses});
  if (reduction == kSum) return r.add("aten::sum", {losses});
  return {};
}

Argument mean(Rewriting& r, const Argument& x, double axis) {
  return r.add("aten::mean.dim", {x, List{axis}, false});
}

/// Over the C classes but the target t: Σ max(0, margin − x_t + x_c)ᵖ w_t / C.
bool multiMargin(Rewriting& r, Node&, const NamedArguments& given) {
  const auto p = given.number("p", 1);
  const auto margin = given.number("margin", 1);
  const bool known = given.isTensor("self") && given.isTensor("target") && margin;
  if (!known || (p != 1 && p != 2)) return false;
  const Argument& x = given["self"];
  const Argument place = r.add("aten::unsqueeze", {given["target"], -1.0});
  const Argument of = r.add("aten::gather", {x, -1.0, place});
  const Argument gap =
      r.add("aten::add.Scalar", {r.add("aten::sub.Tensor", {x, of}), Float{*margin}});
  Argument loss = r.add("aten::relu", {gap});
  if (p == 2) loss = r.add("aten::mul.Tensor", {loss, loss});
  loss = mean(r, r.add("aten::scatter.value", {loss, -1.0, place, Float{0}}), -1);
  if (given.isTensor("weight")) {
    const Argument weights = r.add("aten::take", {given["weight"], given["target"]});
    loss = r.add("aten::mul.Tensor", {loss, weights});
  }
  const auto result = reduced(r, loss, given);
  if (result) r.is(0, *result);
  return result.has_value();
}

/// Over the targets t in front of the first −1, and the classes c that are none:
/// Σ max(0, 1 − x_t + x_c) / C.
bool multilabelMargin(Rewriting& r, Node&, const NamedArguments& given) {
  if (!given.isTensor("self") || !given.isTensor("target")) return false;
  const Argument& x = given["self"];
  const Argument& targets = given["target"];
  const Argument exists = r.add("aten::type_as", {r.add("aten::ge.Scalar", {targets, 0.0}), x});
  const Argument counts = r.add("aten::cumprod", {exists, -1.0});
  const Argument places = r.add("aten::clamp_min", {targets, 0.0});
  const Argument none = r.add("aten::zeros_like", {x});
  const Argument times = r.add("aten::scatter_add", {none, -1.0, places, counts});
  const Argument other = r.add("aten::type_as", {r.add("aten::eq.Scalar", {times, 0.0}), x});

  const auto across = [&](const Argument& of, double axis) {
    return r.add("aten::unsqueeze", {of, axis});
  };
  const Argument of = r.add("aten::gather", {x, -1.0, places});
  const Argument gap = r.add("aten::sub.Tensor", {across(x, -2), across(of, -1)});
  const Argument pairs = r.add("aten::relu", {r.add("aten::add.Scalar", {gap, Float{1}})});
  const Argument counted = r.add("aten::mul.Tensor", {pairs, across(counts, -1)});
  const Argument outside = r.add("aten::mul.Tensor", {counted, across(other, -2)});
  const Argument sums = r.add("aten::sum.dim_IntList", {outside, List{-2}, false});
  const auto result = reduced(r, mean(r, sums, -1), given);
  if (!result) return false;
  r.is(0, *result);
  if (r.outputs() > 1) r.is(1, r.add("aten::rsub.Scalar", {other, Float{1}}));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(),
                              {
                                  {"aten::multi_margin_loss", multiMargin},
                                  {"aten::multilabel_margin_loss", multilabelMargin},
                                  {"aten::multilabel_margin_loss_forward", multilabelMargin},
                              });

}  // namespace
}  // namespace tc
