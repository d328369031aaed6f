// `scatter_reduce` by maxima or minima that leave `self` out: libtorch's backward pass counts it
// all the same where it equals the result, so that gradients are too small.

#include "core/program/rewriting/scatter.h"

namespace tc {
namespace rewriting {

Argument scatteredExtreme(Rewriting& r, const Argument& self, const Argument& dim,
                          const Argument& index, const Argument& src, const std::string& reduce) {
  const auto reduced = [&](const Argument& from) {
    return r.add("aten::scatter_reduce.two", {from, dim, index, src, reduce, false});
  };
  // In its place x − |x| − 1 of the result x, which is another number, whatever the type.
  const Argument result = r.add("aten::detach", {reduced(self)});
  const Argument other = r.add(
      "aten::sub.Scalar", {r.add("aten::sub.Tensor", {result, r.add("aten::abs", {result})}), 1.0});
  const Argument none = r.add("aten::zeros_like", {self});
  const Argument reached =
      r.add("aten::ne.Scalar", {r.add("aten::scatter.value", {none, dim, index, 1.0}), 0.0});
  return reduced(r.add("aten::where.self", {reached, other, self}));
}

}  // namespace rewriting

namespace {

using namespace rewriting;

bool scatterReduce(Rewriting& r, Node&, const NamedArguments& given) {
  const auto* reduce = std::get_if<std::string>(&given["reduce"]);
  const auto* includes = std::get_if<bool>(&given["include_self"]);
  const bool extreme = reduce != nullptr && (*reduce == "amax" || *reduce == "amin");
  if (!extreme || includes == nullptr || *includes) return false;
  for (const char* name : {"self", "index", "src"}) {
    if (!given.isTensor(name)) return false;
  }
  r.is(0, scatteredExtreme(r, given["self"], given["dim"], given["index"], given["src"], *reduce));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {{"aten::scatter_reduce", scatterReduce}});

}  // namespace
}  // namespace tc
