// Slices filled with a value that is a tensor: libtorch's rule for rows (vmap) fills those of each
// row with the last row's (seen with libtorch 2.13).

#include <c10/core/ScalarType.h>

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

bool indexFill(Rewriting& r, Node&, const NamedArguments& given) {
  for (const char* name : {"self", "index", "value"}) {
    if (!given.isTensor(name)) return false;
  }
  constexpr auto kBool = static_cast<double>(at::kBool);
  const Argument nowhere = r.add("aten::zeros_like", {given["self"], kBool});
  const Argument filled =
      r.add("aten::index_fill.int_Scalar", {nowhere, given["dim"], given["index"], 1.0});
  const Argument value = r.add("aten::reshape", {given["value"], List{}});
  const Argument alike = r.add("aten::type_as", {value, given["self"]});
  r.is(0, r.add("aten::where.self", {filled, alike, given["self"]}));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {{"aten::index_fill", indexFill}});

}  // namespace
}  // namespace tc
