// Block diagonal matrices of vectors, which are rows there: libtorch's derivative forgets the row
// of a vector without elements, and takes what follows from places that are another's.

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;
using Refs = ProgramSpec::Refs;

bool blockDiagonal(Rewriting& r, Node&, const NamedArguments& given) {
  const auto* blocks = std::get_if<Refs>(&given["tensors"]);
  if (blocks == nullptr) return false;
  Refs matrices;
  for (const auto& block : blocks->values) {
    if (!block) return false;
    matrices.values.emplace_back(std::get<Ref>(r.add("aten::atleast_2d", {Ref{*block}})).value);
  }
  r.is(0, r.add("aten::block_diag", {matrices}));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {{"aten::block_diag", blockDiagonal}});

}  // namespace
}  // namespace tc
