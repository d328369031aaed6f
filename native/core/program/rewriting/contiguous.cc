// What depends on how tensors lie in memory.
//
// Views of sizes, which a graph has where its own run laid a tensor out for them, as attention's
// result by a kernel that is not differentiable: shapes of the same elements, however they lie.
// Medians misread tensors that are not contiguous.

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

bool reshaped(Rewriting&, Node& node, const NamedArguments& given) {
  if (!given.takes("size")) return false;  // as another type
  node.target = "aten::reshape";
  if (auto size = node.kwargs.extract("size")) {
    size.key() = "shape";
    node.kwargs.insert(std::move(size));
  }
  return false;
}

const Rows<RewriteRule> kRows(rewriteRules(), {
                                                  {"aten::view", reshaped},
                                                  {"aten::median", contiguousInput},
                                                  {"aten::nanmedian", contiguousInput},
                                              });

}  // namespace
}  // namespace tc
