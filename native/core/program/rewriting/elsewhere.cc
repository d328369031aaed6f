// What exporting on a GPU, and functional graphs, have in the place of other operators.

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

/// Kernels for scaled-dot-product attention.
bool attention(Rewriting& r, Node&, const NamedArguments& given) {
  if (r.usesOthers()) return false;
  for (const char* name : {"query", "key", "value"}) {
    if (!given.isTensor(name)) return false;
  }
  const Argument& mask = given[given.takes("attn_bias") ? "attn_bias" : "attn_mask"];
  const auto dropout = given.number("dropout_p", 0);
  if (!dropout) return false;
  r.is(0, r.add("aten::scaled_dot_product_attention",
                {given["query"], given["key"], given["value"], mask, Float{*dropout},
                 given.isTrue("is_causal"), given["scale"]}));
  return true;
}

/// `rrelu` outside training, which draws nothing: the mean slope.
bool rrelu(Rewriting& r, Node&, const NamedArguments& given) {
  const auto lower = given.number("lower", 1.0 / 8);
  const auto upper = given.number("upper", 1.0 / 3);
  const bool draws = given.isTrue("training");
  if (draws || !given.isTensor("self") || !given.isTensor("noise") || !lower || !upper)
    return false;
  r.is(0, r.add("aten::leaky_relu", {given["self"], Float{(*lower + *upper) / 2}}));
  r.is(1, given["noise"]);
  return true;
}

/// The tangent of a constant, as graphs of `torch.func.jvp` have it.
bool noTangent(Rewriting& r, Node&, const NamedArguments& given) {
  if (!given.isTensor("other") || given.number("self_num_batch_dims", 0) != 0) return false;
  r.is(0, r.add("aten::zeros_like", {given["other"]}));
  return true;
}

/// The value: where the program runs, or as it is, which libtorch's own operator would keep forever
/// where gradients are taken.
bool itself(Rewriting& r, Node&, const NamedArguments& given) {
  if (!given.isTensor("self")) return false;
  r.is(0, given["self"]);
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(),
                              {
                                  {"aten::_scaled_dot_product_cudnn_attention", attention},
                                  {"aten::_scaled_dot_product_efficient_attention", attention},
                                  {"aten::_scaled_dot_product_flash_attention", attention},
                                  {"aten::_scaled_dot_product_fused_attention_overrideable",
                                   attention},
                                  {"aten::rrelu_with_noise_functional", rrelu},
                                  {"aten::_new_zeros_with_same_feature_meta", noTangent},
                                  {"aten::cpu", itself},
                                  {"aten::cuda", itself},
                                  {"aten::lift", itself},
                                  {"aten::lift_fresh", itself},
                              });

}  // namespace
}  // namespace tc
