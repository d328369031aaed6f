// Medians misread tensors that are not contiguous; backward passes of layer norms misread means and
// deviations that are not, also beyond them.

#include <algorithm>

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

const Rows<RewriteRule> kRows(rewriteRules(),
                              {
                                  {"aten::median", contiguousInput},
                                  {"aten::nanmedian", contiguousInput},
                                  {"aten::native_layer_norm_backward", contiguousStatistics},
                              });

}  // namespace
}  // namespace tc
