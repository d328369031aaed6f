// Indexing with a mask, as decomposed backward passes of padding have it: libtorch takes indices on
// trust where the mask is true.

#include <string>

#include "core/program/rewriting/rewriting.h"
#include "core/program/sizes.h"

namespace tc {
namespace {

using namespace rewriting;
using Refs = ProgramSpec::Refs;

/// The indices, no less than `least` of an axis and less than its size; of what is beyond, the mask
/// lets nothing through.
Refs clamped(Rewriting& r, const Argument& self, const Refs& indices, bool fromEnd) {
  Refs result = indices;
  for (size_t i = 0; i < indices.values.size(); ++i) {
    if (!indices.values[i]) continue;
    const Size size = sizeAlong(self, static_cast<int64_t>(i));
    const Size one{Size::Kind::kConstant, 1, 0, {}};
    const Argument least = fromEnd ? Argument(sizeOf("negative", {size})) : Argument(0.0);
    const Argument inside =
        r.add("aten::clamp", {Ref{*indices.values[i]}, least, sizeOf("-", {size, one})});
    result.values[i] = std::get<Ref>(inside).value;
  }
  return result;
}

/// self[indices] where the mask is true, `fill` elsewhere.
bool maskedIndex(Rewriting& r, Node&, const NamedArguments& given) {
  const auto* indices = std::get_if<Refs>(&given["indices"]);
  if (!given.isTensor("self") || !given.isTensor("mask") || indices == nullptr) return false;
  const Argument found =
      r.add("aten::index.Tensor",
            {given["self"], clamped(r, given["self"], *indices, /*fromEnd=*/false)});
  const Argument outside = r.add("aten::logical_not", {given["mask"]});
  r.is(0, r.add("aten::masked_fill.Scalar", {found, outside, given["fill"]}));
  return true;
}

/// `self` with the values added to self[indices] where the mask is true.
bool maskedIndexPut(Rewriting& r, Node&, const NamedArguments& given) {
  const auto* indices = std::get_if<Refs>(&given["indices"]);
  const bool tensors = given.isTensor("self") && given.isTensor("mask") && given.isTensor("values");
  if (!tensors || indices == nullptr) return false;
  const Argument outside = r.add("aten::logical_not", {given["mask"]});
  const Argument added = r.add("aten::masked_fill.Scalar", {given["values"], outside, 0.0});
  r.is(0,
       r.add("aten::index_put",
             {given["self"], clamped(r, given["self"], *indices, /*fromEnd=*/true), added, true}));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(),
                              {{"aten::_unsafe_masked_index", maskedIndex},
                               {"aten::_unsafe_masked_index_put_accumulate", maskedIndexPut}});

}  // namespace
}  // namespace tc
