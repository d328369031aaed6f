// Modified Bessel functions, which have derivatives under another name alone.

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

const Rows<RewriteRule> kRows(rewriteRules(), {
                                                  {"aten::special_modified_bessel_i0", besselI0},
                                                  {"aten::special_modified_bessel_i1", besselI1},
                                              });

}  // namespace
}  // namespace tc
