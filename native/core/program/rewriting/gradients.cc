// Gradients of what chose elements, or looked up rows, as graphs that hold derivatives have them:
// libtorch takes their indices on trust.

#include <c10/core/ScalarType.h>

#include <optional>

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

/// The elements back where a pool took them from; `axes` are those of its pixels.
bool unpooled(Rewriting& r, const NamedArguments& given, double axes) {
  if (!given.isTensor("grad_output") || !given.isTensor("self") || !given.isTensor("indices"))
    return false;
  const Argument& x = given["self"];
  const auto flat = [&](const Argument& of) {
    return r.add("aten::flatten.using_ints", {of, -axes, -1.0});
  };
  const Argument none = flat(r.add("aten::zeros_like", {x}));
  const Argument sums =
      r.add("aten::scatter_add", {none, -1.0, flat(given["indices"]), flat(given["grad_output"])});
  r.is(0, r.add("aten::reshape_as", {sums, x}));
  return true;
}
bool maxPool2d(Rewriting& r, Node&, const NamedArguments& given) { return unpooled(r, given, 2); }
bool maxPool3d(Rewriting& r, Node&, const NamedArguments& given) { return unpooled(r, given, 3); }

/// As many as libtorch's index of 32 bits has.
constexpr double kMostRows = 2147483647;

/// Sums of the gradients of each row of the table.
bool embedding(Rewriting& r, Node&, const NamedArguments& given) {
  const auto rows = given.number("num_weights", std::nullopt);
  const auto padding = given.number("padding_idx", -1);
  const bool known = given.isTensor("grad_output") && given.isTensor("indices") && rows &&
                     padding && *rows >= 0 && *rows <= kMostRows;
  if (!known || given.isTrue("scale_grad_by_freq")) return false;
  const Argument& gradient = given["grad_output"];
  const Argument places = r.add("aten::reshape", {given["indices"], List{-1}});
  Argument each = r.add("aten::reshape",
                        {gradient, Sizes{{Size::Kind::kConstant, -1}, sizeAlong(gradient, -1)}});
  if (*padding >= 0) {
    const Argument left = r.add("aten::eq.Scalar", {places, *padding});
    each =
        r.add("aten::masked_fill.Scalar", {each, r.add("aten::unsqueeze", {left, -1.0}), Float{0}});
  }
  const Argument none = r.add("aten::new_zeros",
                              {gradient, Sizes{{Size::Kind::kConstant, static_cast<int64_t>(*rows)},
                                               sizeAlong(gradient, -1)}});
  r.is(0, r.add("aten::index_add", {none, 0.0, places, each}));
  return true;
}

/// −w_t of the target t, along the classes' axis.
bool logLikelihood(Rewriting& r, const NamedArguments& given, double axis) {
  constexpr double kMean = 1;
  const auto reduction = given.number("reduction", kMean);
  const auto ignored = given.number("ignore_index", -100);
  for (const char* name : {"grad_output", "self", "target", "total_weight"}) {
    if (!given.isTensor(name)) return false;
  }
  if (!reduction || !ignored) return false;
  const Argument& x = given["self"];
  // Bytes would be compared modulo 256.
  const Argument target =
      r.add("aten::to.dtype", {given["target"], static_cast<double>(at::kLong)});
  const Argument kept = r.add("aten::ne.Scalar", {target, *ignored});
  const Argument targets = r.add("aten::mul.Tensor", {target, kept});
  Argument each = r.add("aten::neg", {r.add("aten::type_as", {kept, x})});
  if (given.isTensor("weight"))
    each = r.add("aten::mul.Tensor", {each, r.add("aten::take", {given["weight"], targets})});
  each = r.add("aten::mul.Tensor", {each, given["grad_output"]});
  if (reduction == kMean) each = r.add("aten::div.Tensor", {each, given["total_weight"]});
  // The mean over no targets is 0, not 0/0.
  const Argument left = r.add("aten::eq.Scalar", {target, *ignored});
  each = r.add("aten::masked_fill.Scalar", {each, left, Float{0}});
  const auto along = [&](const Argument& of) { return r.add("aten::unsqueeze", {of, axis}); };
  r.is(0, r.add("aten::scatter_add",
                {r.add("aten::zeros_like", {x}), axis, along(targets), along(each)}));
  return true;
}
bool ofRows(Rewriting& r, Node&, const NamedArguments& given) {
  return logLikelihood(r, given, -1);
}
bool ofPixels(Rewriting& r, Node&, const NamedArguments& given) {
  return logLikelihood(r, given, 1);
}

const Rows<RewriteRule> kRows(rewriteRules(),
                              {
                                  {"aten::max_pool2d_with_indices_backward", maxPool2d},
                                  {"aten::max_pool3d_with_indices_backward", maxPool3d},
                                  {"aten::adaptive_max_pool2d_backward", maxPool2d},
                                  {"aten::adaptive_max_pool3d_backward", maxPool3d},
                                  {"aten::embedding_dense_backward", embedding},
                                  {"aten::nll_loss_backward", ofRows},
                                  {"aten::nll_loss2d_backward", ofPixels},
                              });

}  // namespace
}  // namespace tc
