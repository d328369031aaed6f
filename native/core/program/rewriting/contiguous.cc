// What depends on how tensors lie in memory.
//
// Views of sizes, which a graph has where its own run laid a tensor out for them, as attention's
// result by a kernel that is not differentiable: shapes of the same elements, however they lie.
// Medians misread tensors that are not contiguous; backward passes of layer norms misread means and
// deviations that are not, also beyond them.

#include <algorithm>
#include <utility>

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

bool contiguousInput(Rewriting& r, Node& node, const NamedArguments&) {
  if (node.args.empty() || !std::holds_alternative<Ref>(node.args[0])) return false;
  node.args[0] = r.add("aten::contiguous", {node.args[0]});
  return false;
}

bool contiguousStatistics(Rewriting& r, Node& node, const NamedArguments&) {
  constexpr size_t kMean = 3;
  const auto lay = [&](Argument& argument) {
    if (std::holds_alternative<Ref>(argument)) argument = r.add("aten::contiguous", {argument});
  };
  for (size_t i = kMean; i < std::min(node.args.size(), kMean + 2); ++i) lay(node.args[i]);
  for (const char* name : {"mean", "rstd"}) {
    if (const auto found = node.kwargs.find(name); found != node.kwargs.end()) lay(found->second);
  }
  return false;
}

bool reshaped(Rewriting&, Node& node, const NamedArguments& given) {
  if (!given.takes("size")) return false;  // as another type
  node.target = "aten::reshape";
  if (auto size = node.kwargs.extract("size")) {
    size.key() = "shape";
    node.kwargs.insert(std::move(size));
  }
  return false;
}

const Rows<RewriteRule> kRows(rewriteRules(),
                              {
                                  {"aten::view", reshaped},
                                  {"aten::median", contiguousInput},
                                  {"aten::nanmedian", contiguousInput},
                                  {"aten::native_layer_norm_backward", contiguousStatistics},
                              });

}  // namespace
}  // namespace tc
