// Vandermonde's matrix, which libtorch writes into slices of its own result: the graph of that
// holds itself, and is never freed.

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

bool vander(Rewriting& r, Node&, const NamedArguments& given) {
  const auto columns = given.number("N", 2);  // without a number it is square
  if (!given.isTensor("x") || !columns || *columns < 2) return false;
  const Argument rising = r.add("aten::linalg_vander", {given["x"], given["N"]});
  r.is(0, given.isTrue("increasing") ? rising : r.add("aten::flip", {rising, List{-1}}));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {{"aten::vander", vander}});

}  // namespace
}  // namespace tc
