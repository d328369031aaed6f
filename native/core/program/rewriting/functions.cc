// Modified Bessel functions, which have derivatives under another name alone; and quotients, of
// whole numbers too, whose derivative libtorch rounds to float32.

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

bool besselI0(Rewriting&, Node& node, const NamedArguments&) {
  node.target = "aten::special_i0";
  return false;
}
bool besselI1(Rewriting&, Node& node, const NamedArguments&) {
  node.target = "aten::special_i1";
  return false;
}

/// self + value · tensor1 / tensor2
bool addcdiv(Rewriting& r, Node&, const NamedArguments& given) {
  const auto value = given.number("value", 1);
  for (const char* name : {"self", "tensor1", "tensor2"}) {
    if (!given.isTensor(name)) return false;
  }
  if (!value) return false;
  const Argument quotient = r.add("aten::div.Tensor", {given["tensor1"], given["tensor2"]});
  const Argument scaled =
      *value == 1 ? quotient : r.add("aten::mul.Scalar", {quotient, Float{*value}});
  r.is(0, r.add("aten::add.Tensor", {given["self"], scaled}));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {
                                                  {"aten::special_modified_bessel_i0", besselI0},
                                                  {"aten::special_modified_bessel_i1", besselI1},
                                                  {"aten::addcdiv", addcdiv},
                                              });

}  // namespace
}  // namespace tc
