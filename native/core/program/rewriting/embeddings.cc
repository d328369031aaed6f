// `embedding_bag` has no second derivative; sparse gradients of `embedding` and `gather` are as if
// they were not asked for; `embedding_renorm_`, which changes in place, becomes other operators.

#include <string>
#include <vector>

#include "core/program/rewriting/rewriting.h"
#include "core/program/rewriting/scatter.h"
#include "core/program/sizes.h"

namespace tc {
namespace {

using namespace rewriting;

/// Rows that are looked up, no longer than `max_norm`.
bool embeddingRenorm(Rewriting& r, Node&, const NamedArguments& given) {
  const auto longest = given.number("max_norm", std::nullopt);
  const auto p = given.number("norm_type", 2);
  if (!given.isTensor("self") || !given.isTensor("indices") || !longest || !p) return false;
  const Argument& table = given["self"];
  const Argument places = r.add("aten::reshape", {given["indices"], List{-1}});
  const Argument rows = r.add("aten::index_select", {table, 0.0, places});
  const Argument length = r.add("aten::linalg_vector_norm", {rows, Float{*p}, List{-1}, true});
  const Argument shrunk = r.add(
      "aten::mul.Tensor",
      {rows, r.add("aten::mul.Scalar",
                   {r.add("aten::reciprocal", {r.add("aten::add.Scalar", {length, Float{1e-7}})}),
                    Float{*longest}})});
  const Argument tooLong = r.add("aten::gt.Scalar", {length, Float{*longest}});
  const Argument kept = r.add("aten::where.self", {tooLong, shrunk, rows});
  r.is(0, r.add("aten::index_copy", {table, 0.0, places, kept}));
  return true;
}

/// Whether a value is 0, 1·step, 2·step, …
bool isRange(const Rewriting& r, const Argument& value) {
  int64_t first = r.next();
  for (auto node = r.nodes().rbegin(); node != r.nodes().rend(); ++node) {
    first -= node->outputs;
    if (first > std::get<Ref>(value).value) continue;
    const auto* start = node->args.empty() ? nullptr : std::get_if<double>(&node->args.front());
    const bool fromZero = node->args.size() < 2 || (start != nullptr && *start == 0);
    return node->target.rfind("aten::arange", 0) == 0 && fromZero;
  }
  return false;
}

/// The bag of each index.
Argument bagsOf(Rewriting& r, const NamedArguments& given) {
  const Argument& offsets = given["offsets"];
  const Size count = sizeAlong(given["indices"], 0);
  if (isRange(r, offsets) && !given.isTrue("include_last_offset")) {
    // The bag of a place is the last that starts at it or before it.
    const Argument places = r.add("aten::type_as", {r.add("aten::arange", {count}), offsets});
    const Argument after =
        r.add("aten::searchsorted.Tensor", {offsets, places, false, /*right=*/true});
    return r.add("aten::sub.Scalar", {after, 1.0});
  }
  std::vector<Argument> ends{offsets};
  if (!given.isTrue("include_last_offset")) {
    const Argument end =
        r.add("aten::new_full", {offsets, Sizes{{Size::Kind::kConstant, 1}}, count});
    ends = {offsets, 1.0, -1.0, kNone, end};
  }
  const Argument lengths = r.add("aten::diff", ends);
  // An error where they do not add up to the number of indices.
  return r.add("aten::repeat_interleave.Tensor", {lengths, count});
}

/// The row that counts for nothing, or none. `embedding_bag` counts it from the end where it is
/// negative; the operators that it consists of have no such row then.
Argument paddingOf(const Node& node, const NamedArguments& given, double row) {
  if (row >= 0) return row;
  const bool none = std::holds_alternative<std::monostate>(given["padding_idx"]);
  if (none || !node.target.starts_with("aten::embedding_bag")) return kNone;
  const Size fromEnd{Size::Kind::kConstant, static_cast<int64_t>(row)};
  return sizeOf("+", {sizeAlong(given["weight"], 0), fromEnd});
}

/// Sums, means or maxima of looked-up rows, by operators that have second derivatives.
bool embeddingBag(Rewriting& r, Node& node, const NamedArguments& given) {
  if (r.usesOthers()) return false;
  constexpr double kMean = 1;
  constexpr double kMax = 2;
  const auto mode = given.number("mode", 0);
  const auto row = given.number("padding_idx", -1);
  const bool plain = given.isTensor("weight") && given.isTensor("indices") &&
                     given.isTensor("offsets") && !given.isTrue("scale_grad_by_freq") && row;
  if (!plain || !mode) return false;
  const Argument padding = paddingOf(node, given, *row);
  const bool pads = !std::holds_alternative<std::monostate>(padding);
  Argument bags = bagsOf(r, given);
  const Argument& indices = given["indices"];
  Argument rows = r.add("aten::embedding", {given["weight"], indices});
  Argument ones = r.add("aten::new_ones", {rows, Sizes{sizeAlong(indices, 0)}});
  if (pads && *mode != kMax) {
    ones = r.add("aten::mul.Tensor", {ones, r.add("aten::ne.Scalar", {indices, padding})});
    rows = r.add("aten::mul.Tensor", {rows, r.add("aten::unsqueeze", {ones, -1.0})});
  }
  if (given.isTensor("per_sample_weights")) {
    rows = r.add("aten::mul.Tensor",
                 {rows, r.add("aten::unsqueeze", {given["per_sample_weights"], -1.0})});
  }
  // As many bags as there are offsets, but the last one where it is the end.
  Size count = sizeAlong(given["offsets"], 0);
  if (given.isTrue("include_last_offset")) count = sizeOf("-", {count, {Size::Kind::kConstant, 1}});
  if (*mode == kMax) {
    // What counts for nothing is in a bag of its own, after the others.
    const Size all = sizeOf("+", {count, {Size::Kind::kConstant, 1}});
    if (pads) {
      bags = r.add("aten::masked_fill.Scalar",
                   {bags, r.add("aten::eq.Scalar", {indices, padding}), count});
    }
    const Argument empty = r.add("aten::new_zeros", {rows, Sizes{all, sizeAlong(rows, 1)}});
    const Argument wide = r.add("aten::expand_as", {r.add("aten::unsqueeze", {bags, -1.0}), rows});
    const Argument found = scatteredExtreme(r, empty, 0.0, wide, rows, "amax");
    r.is(0, r.add("aten::slice.Tensor", {found, 0.0, 0.0, -1.0}));
    return true;
  }
  const Argument none = r.add("aten::new_zeros", {rows, Sizes{count, sizeAlong(rows, 1)}});
  const Argument sums = r.add("aten::index_add", {none, 0.0, bags, rows});
  if (*mode != kMean) {
    r.is(0, sums);
    return true;
  }
  const Argument empty = r.add("aten::new_zeros", {rows, Sizes{count}});
  const Argument counts = r.add("aten::index_add", {empty, 0.0, bags, ones});
  const Argument divisors =
      r.add("aten::unsqueeze", {r.add("aten::clamp_min", {counts, 1.0}), -1.0});
  r.is(0, r.add("aten::div.Tensor", {sums, divisors}));
  return true;
}

bool denseGradient(Rewriting&, Node& node, const NamedArguments&) {
  const auto op = findOperator(node.target);
  const auto& arguments = op.schema().arguments();
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i].name();
    if (name != "sparse" && name != "sparse_grad") continue;
    if (i < node.args.size()) node.args[i] = false;
    node.kwargs.erase(name);
  }
  return false;
}

const Rows<RewriteRule> kRows(rewriteRules(),
                              {
                                  {"aten::embedding_renorm", embeddingRenorm},
                                  {"aten::embedding", denseGradient},
                                  {"aten::gather", denseGradient},
                                  {"aten::embedding_bag", embeddingBag},
                                  {"aten::_embedding_bag", embeddingBag},
                                  {"aten::_embedding_bag_forward_only", embeddingBag},
                              });

}  // namespace
}  // namespace tc
