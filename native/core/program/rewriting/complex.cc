// `polar`, whose gradient by a negative modulus has the wrong sign, and `view_as_complex`, which
// needs an even place in memory.

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

bool polar(Rewriting& r, Node&, const NamedArguments& given) {
  if (!given.isTensor("abs") || !given.isTensor("angle")) return false;
  const auto part = [&](const char* function) {
    return r.add("aten::mul.Tensor", {given["abs"], r.add(function, {given["angle"]})});
  };
  const Argument real = part("aten::cos");
  r.is(0, r.add("aten::complex", {real, part("aten::sin")}));
  return true;
}

/// Of pairs that lie anywhere: a view needs an even offset, which a parameter may not have.
bool viewAsComplex(Rewriting& r, Node&, const NamedArguments& given) {
  if (!given.isTensor("self")) return false;
  const auto part = [&](double index) {
    return r.add("aten::select.int", {given["self"], -1.0, index});
  };
  const Argument real = part(0);
  r.is(0, r.add("aten::complex", {real, part(1)}));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {
                                                  {"aten::polar", polar},
                                                  {"aten::view_as_complex", viewAsComplex},
                                              });

}  // namespace
}  // namespace tc
