// What changes in place became: `copy`, which is not differentiable, as what is copied, in the
// shape and precision of what it replaces; `zero`; `fill_diagonal_`; `polygamma_`.

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

bool copy(Rewriting& r, Node&, const NamedArguments& given) {
  if (!given.isTensor("self") || !given.isTensor("src")) return false;
  const Argument& self = given["self"];
  const Argument same = r.add("aten::type_as", {given["src"], self});
  r.is(0, r.add("aten::contiguous", {r.add("aten::expand_as", {same, self})}));
  return true;
}

bool zero(Rewriting& r, Node&, const NamedArguments& given) {
  if (!given.isTensor("self")) return false;
  r.is(0, r.add("aten::zeros_like", {given["self"]}));
  return true;
}

/// Of a matrix: `diag` takes no tensors of more axes, whose diagonal would be another.
bool fillDiagonal(Rewriting& r, Node&, const NamedArguments& given) {
  if (!given.isTensor("self") || given.isTrue("wrap")) return false;
  const Argument& x = given["self"];
  const Argument value = r.add("aten::full_like", {r.add("aten::diag", {x}), given["fill_value"]});
  r.is(0, r.add("aten::diagonal_scatter", {x, value}));
  return true;
}

/// What it changes comes first, of `polygamma` it is the second argument.
bool polygamma(Rewriting& r, Node&, const NamedArguments& given) {
  if (!given.isTensor("self")) return false;
  r.is(0, r.add("aten::polygamma", {given["n"], given["self"]}));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {
                                                  {"aten::copy", copy},
                                                  {"aten::zero", zero},
                                                  {"aten::fill_diagonal_", fillDiagonal},
                                                  {"aten::polygamma_", polygamma},
                                              });

}  // namespace
}  // namespace tc
