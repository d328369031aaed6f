// Normalizations whose derivatives libtorch lacks, or gets wrong:
//
// - by running statistics, also inside `instance_norm`: a gradient of one row that lies in memory
//   like an image with channels last is misread. It is affine: (x − m) ⊙ s + b.
// - `instance_norm` of its input's statistics, which is a batch norm of one row: `group_norm`.
// - by the statistics of the batch, where it has no others to change: its rows depend on one
//   another, and each product sees that as of other operators.
// - `group_norm` with a shift and no scale: has no backward pass.
// - weights by their norms, w = g v / ‖v‖: the kernel's second derivative is wrong.
// - the mean and the deviation that `native_layer_norm` gives beside its result, and its backward
//   pass, which graphs of derivatives have: taken for constants, so that their derivatives (of a
//   Laplacian or a force) are wrong.

#include <cstddef>
#include <optional>

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

/// Axis 1, the channels, last: so that vectors over channels broadcast. A view; results keep its
/// layout, so that the way back gives what lies like the input.
Argument channelsLast(Rewriting& r, const Argument& x) {
  return r.add("aten::movedim.int", {x, 1.0, -1.0});
}
Argument channelsBack(Rewriting& r, const Argument& x) {
  return r.add("aten::movedim.int", {x, -1.0, 1.0});
}
Argument channelsOf(const Argument& x) { return sizeAlong(x, 1); }

/// Of the input's numbers along some axes, which have one element each.
struct Statistics {
  Argument mean;
  Argument centered;  ///< x − m
  Argument scale;     ///< 1/√(variance + ε)
};
Statistics statisticsOf(Rewriting& r, const Argument& x, const List& axes, double eps) {
  const Argument mean = r.add("aten::mean.dim", {x, axes, true});
  const Argument centered = r.add("aten::sub.Tensor", {x, mean});
  const Argument squares = r.add("aten::mul.Tensor", {centered, centered});
  const Argument variance = r.add("aten::mean.dim", {squares, axes, true});
  return {mean, centered,
          r.add("aten::rsqrt", {r.add("aten::add.Scalar", {variance, Float{eps}})})};
}

/// By the statistics of the batch, where there are no others to change: rows depend on one
/// another.
bool byBatch(Rewriting& r, const NamedArguments& given) {
  const auto eps = given.number("eps", std::nullopt);
  const bool changes = given.isTensor("running_mean") || given.isTensor("running_var");
  if (!given.isTrue("training") || changes || !given.isTensor("input") || !eps) return false;
  if (r.usesOthers()) return false;
  const Argument channels = r.add("aten::transpose.int", {given["input"], 0.0, 1.0});
  const Argument flat = r.add("aten::flatten.using_ints", {channels, 1.0, -1.0});
  const Statistics along = statisticsOf(r, flat, {1}, *eps);
  const Argument normal = r.add("aten::mul.Tensor", {along.centered, along.scale});
  const Argument shaped = r.add("aten::reshape_as", {normal, channels});
  Argument y = channelsLast(r, r.add("aten::transpose.int", {shaped, 0.0, 1.0}));
  if (given.isTensor("weight")) y = r.add("aten::mul.Tensor", {y, given["weight"]});
  if (given.isTensor("bias")) y = r.add("aten::add.Tensor", {y, given["bias"]});
  r.is(0, channelsBack(r, y));
  return true;
}

Argument byStatistics(Rewriting& r, const NamedArguments& given, double eps) {
  const Argument& x = given["input"];
  // As many as there are channels, or an error: one alone would broadcast.
  const Argument mean = r.add("aten::view", {given["running_mean"], Sizes{sizeAlong(x, 1)}});
  Argument scale =
      r.add("aten::rsqrt", {r.add("aten::add.Scalar", {given["running_var"], Float{eps}})});
  if (given.isTensor("weight")) scale = r.add("aten::mul.Tensor", {scale, given["weight"]});
  const Argument centered = r.add("aten::sub.Tensor", {channelsLast(r, x), mean});
  return channelsBack(r, given.isTensor("bias")
                             ? r.add("aten::addcmul", {given["bias"], centered, scale})
                             : r.add("aten::mul.Tensor", {centered, scale}));
}

Argument shifted(Rewriting& r, const Argument& y, const Argument& bias) {
  if (!std::holds_alternative<Ref>(bias)) return y;
  return channelsBack(r, r.add("aten::add.Tensor", {channelsLast(r, y), bias}));
}

bool batchNorm(Rewriting& r, Node&, const NamedArguments& given) {
  if (given.takes("training") && !given.isFalse("training")) return byBatch(r, given);
  const auto eps = given.number(given.takes("eps") ? "eps" : "epsilon", std::nullopt);
  const bool complete = given.isTensor("input") && given.isTensor("running_mean") &&
                        given.isTensor("running_var") && eps;
  if (!complete) return false;
  // The functional form gives the running statistics last, as they were.
  const bool functional =
      given.takes("training") && r.outputs() == 5 && !given.takes("cudnn_enabled");
  for (int64_t i = 1; i < (functional ? 3 : r.outputs()); ++i) {
    if (r.isUsed(i)) return false;
  }
  if (functional) {
    r.is(3, given["running_mean"]);
    r.is(4, given["running_var"]);
  }
  r.is(0, byStatistics(r, given, *eps));
  return true;
}

bool instanceNorm(Rewriting& r, Node&, const NamedArguments& given) {
  const auto eps = given.number("eps", std::nullopt);
  if (!given.isTensor("input") || !eps) return false;
  if (given.isFalse("use_input_stats")) {
    if (!given.isTensor("running_mean") || !given.isTensor("running_var")) return false;
    r.is(0, byStatistics(r, given, *eps));
    return true;
  }
  if (!given.isTrue("use_input_stats")) return false;
  const Argument& x = given["input"];
  const bool scaled = given.isTensor("weight");
  const Argument y = r.add(
      "aten::group_norm",
      {x, channelsOf(x), given["weight"], scaled ? given["bias"] : kNone, Float{*eps}, false});
  r.is(0, scaled ? y : shifted(r, y, given["bias"]));
  return true;
}

bool groupNorm(Rewriting& r, Node& node, const NamedArguments& given) {
  if (given.isTensor("weight") || !given.isTensor("bias")) return false;
  // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): it is taken out below
  const Argument bias = given["bias"];
  // group_norm(input, num_groups, weight, bias, …), native_group_norm(input, weight, bias, …)
  const size_t place = node.target == "aten::group_norm" ? 3 : 2;
  if (place < node.args.size()) node.args[place] = kNone;
  node.kwargs.erase("bias");
  const Ref y = std::get<Ref>(r.keep(node));
  for (int64_t i = 1; i < r.outputs(); ++i) r.is(i, Ref{y.value + i});
  r.is(0, shifted(r, y, bias));
  return true;
}

bool weightNorm(Rewriting& r, Node&, const NamedArguments& given) {
  const auto axis = given.number("dim", 0);
  if (!given.isTensor("v") || !given.isTensor("g") || !axis) return false;
  const Argument& v = given["v"];
  const Argument& g = given["g"];
  const auto norm = [&](const Argument& x, const Argument& axes) {
    return r.add("aten::linalg_vector_norm", {x, Float{2}, axes, false});
  };
  // Slices along the axis, one a row; all of v where there is none.
  const auto slices = [&] {
    return r.add("aten::flatten.using_ints",
                 {r.add("aten::movedim.int", {v, *axis, 0.0}), 1.0, -1.0});
  };
  const Argument norms =
      r.add("aten::reshape_as", {*axis == -1 ? norm(v, kNone) : norm(slices(), List{1}), g});
  r.is(0, r.add("aten::mul.Tensor", {v, r.add("aten::div.Tensor", {g, norms})}));
  if (r.outputs() > 1) r.is(1, norms);
  return true;
}

/// The last axes of a value, as many as there are sizes; none where these are something else.
std::optional<List> lastAxes(const Argument& sizes) {
  size_t count = 0;
  if (const auto* plain = std::get_if<List>(&sizes)) count = plain->size();
  if (const auto* some = std::get_if<Sizes>(&sizes)) count = some->size();
  if (count == 0) return {};
  List axes;
  for (size_t i = count; i > 0; --i) axes.push_back(-static_cast<double>(i));
  return axes;
}

/// With statistics that depend on the input.
bool layerNorm(Rewriting& r, Node& node, const NamedArguments& given) {
  const auto axes = lastAxes(given["normalized_shape"]);
  const auto eps = given.number("eps", std::nullopt);
  if (!r.usesOthers() || !given.isTensor("input") || !axes || !eps) return false;
  const Statistics statistics = statisticsOf(r, given["input"], *axes, *eps);
  r.is(0, r.keep(node));
  r.is(1, statistics.mean);
  r.is(2, statistics.scale);
  return true;
}

/// x̂ = (x − m) s, ∂x = s (g − mean(g) − x̂ mean(g x̂)) with g = ∂y w, ∂w = Σ ∂y x̂, ∂b = Σ ∂y (Ba et
/// al., 2016).
bool layerNormBackward(Rewriting& r, Node&, const NamedArguments& given) {
  const Argument& shape = given["normalized_shape"];
  const auto axes = lastAxes(shape);
  for (const char* name : {"grad_out", "input", "mean", "rstd"}) {
    if (!given.isTensor(name)) return false;
  }
  if (!axes) return false;
  const auto product = [&](const Argument& left, const Argument& right) {
    return r.add("aten::mul.Tensor", {left, right});
  };
  const auto mean = [&](const Argument& x) { return r.add("aten::mean.dim", {x, *axes, true}); };
  const auto sum = [&](const Argument& x) { return r.add("aten::sum_to_size", {x, shape}); };
  const Argument& dy = given["grad_out"];
  const Argument normal =
      product(r.add("aten::sub.Tensor", {given["input"], given["mean"]}), given["rstd"]);
  const Argument g = given.isTensor("weight") ? product(dy, given["weight"]) : dy;
  const Argument along = product(normal, mean(product(g, normal)));
  const Argument across =
      r.add("aten::sub.Tensor", {r.add("aten::sub.Tensor", {g, mean(g)}), along});
  r.is(0, product(across, given["rstd"]));
  if (r.isUsed(1)) r.is(1, sum(product(dy, normal)));
  if (r.isUsed(2)) r.is(2, sum(dy));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(),
                              {
                                  {"aten::batch_norm", batchNorm},
                                  {"aten::native_batch_norm", batchNorm},
                                  {"aten::_native_batch_norm_legit", batchNorm},
                                  {"aten::_native_batch_norm_legit_functional", batchNorm},
                                  {"aten::_native_batch_norm_legit_no_training", batchNorm},
                                  {"aten::_batch_norm_no_update", batchNorm},
                                  {"aten::_batch_norm_impl_index", batchNorm},
                                  {"aten::cudnn_batch_norm", batchNorm},
                                  {"aten::miopen_batch_norm", batchNorm},
                                  {"aten::instance_norm", instanceNorm},
                                  {"aten::group_norm", groupNorm},
                                  {"aten::native_group_norm", groupNorm},
                                  {"aten::native_layer_norm", layerNorm},
                                  {"aten::native_layer_norm_backward", layerNormBackward},
                                  {"aten::_weight_norm", weightNorm},
                                  {"aten::_weight_norm_interface", weightNorm},
                              });

}  // namespace
}  // namespace tc
