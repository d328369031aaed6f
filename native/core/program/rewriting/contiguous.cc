// Medians misread tensors that are not contiguous.

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

bool contiguousInput(Rewriting& r, Node& node, const NamedArguments&) {
  if (node.args.empty() || !std::holds_alternative<Ref>(node.args[0])) return false;
  node.args[0] = r.add("aten::contiguous", {node.args[0]});
  return false;
}

const Rows<RewriteRule> kRows(rewriteRules(), {
                                                  {"aten::median", contiguousInput},
                                                  {"aten::nanmedian", contiguousInput},
                                              });

}  // namespace
}  // namespace tc
