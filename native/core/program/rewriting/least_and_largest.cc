// The least and the largest number of all, and their places, where their axes are kept: libtorch's
// rules for rows (vmap) keep one of them (seen with libtorch 2.13).

#include <c10/core/ScalarType.h>

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

bool ofAllWithAxes(const NamedArguments& given) {
  return std::holds_alternative<std::monostate>(given["dim"]) && given.isTrue("keepdim");
}

bool aminmax(Rewriting& r, Node&, const NamedArguments& given) {
  if (!ofAllWithAxes(given)) return false;
  r.is(0, r.add("aten::amin", {given["self"], List{}, true}));
  r.is(1, r.add("aten::amax", {given["self"], List{}, true}));
  return true;
}

/// The place without axes, and as many as there are.
bool place(Rewriting& r, Node& node, const NamedArguments& given) {
  if (!ofAllWithAxes(given) || !given.isTensor("self")) return false;
  constexpr auto kLong = static_cast<double>(at::kLong);
  const Argument zeros = r.add("aten::zeros_like", {given["self"], kLong});
  const Argument zero = r.add("aten::amin", {zeros, List{}, true});
  r.is(0, r.add("aten::add.Tensor", {zero, r.add(node.target, {given["self"]})}));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {{"aten::aminmax", aminmax},
                                               {"aten::argmax", place},
                                               {"aten::argmin", place}});

}  // namespace
}  // namespace tc
