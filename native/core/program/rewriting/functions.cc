// Functions of each element: modified Bessel functions, which have derivatives under another name
// alone; `float_power`, which is float64 whatever it is given.

#include <utility>

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

/// Computed in float64, as it says, and then of the run's precision, as all that follows.
bool floatPower(Rewriting& r, Node& node, const NamedArguments&) {
  r.is(0, r.add("aten::to.dtype", {r.keep(std::move(node)), ProgramSpec::Precision{}}));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {
                                                  {"aten::special_modified_bessel_i0", besselI0},
                                                  {"aten::special_modified_bessel_i1", besselI1},
                                                  {"aten::float_power", floatPower},
                                              });

}  // namespace
}  // namespace tc
