// `scatter_reduce` and `index_reduce` by maxima or minima that leave `self` out: libtorch's
// backward pass counts it all the same where it equals the result, so that gradients are too small.

#include "core/program/rewriting/scatter.h"

namespace tc {
namespace rewriting {

Argument scatteredExtreme(Rewriting& r, const Argument& self, const Argument& dim,
                          const Argument& index, const Argument& src, const std::string& reduce) {
  const auto reduced = [&](const Argument& from) {
    return r.add("aten::scatter_reduce.two", {from, dim, index, src, reduce, false});
  };
  // In its place 1 where the result is 0, and 0 elsewhere: another number, whatever the type.
  const Argument result = r.add("aten::detach", {reduced(self)});
  const Argument other = r.add("aten::type_as", {r.add("aten::eq.Scalar", {result, 0.0}), result});
  const Argument none = r.add("aten::zeros_like", {self});
  const Argument reached =
      r.add("aten::ne.Scalar", {r.add("aten::scatter.value", {none, dim, index, 1.0}), 0.0});
  return reduced(r.add("aten::where.self", {reached, other, self}));
}

}  // namespace rewriting

namespace {

using namespace rewriting;

/// The reduction where it is one that leaves `self` out; nothing else is rewritten.
const std::string* extremeWithoutSelf(const NamedArguments& given, const char* source) {
  const auto* reduce = std::get_if<std::string>(&given["reduce"]);
  const bool extreme = reduce != nullptr && (*reduce == "amax" || *reduce == "amin");
  const bool known = given.isTensor("self") && given.isTensor("index") && given.isTensor(source);
  return extreme && known && given.isFalse("include_self") ? reduce : nullptr;
}

bool scatterReduce(Rewriting& r, Node&, const NamedArguments& given) {
  const std::string* const reduce = extremeWithoutSelf(given, "src");
  if (reduce == nullptr) return false;
  r.is(0, scatteredExtreme(r, given["self"], given["dim"], given["index"], given["src"], *reduce));
  return true;
}

/// The index counts slices along the axis.
bool indexReduce(Rewriting& r, Node&, const NamedArguments& given) {
  const std::string* const reduce = extremeWithoutSelf(given, "source");
  if (reduce == nullptr) return false;
  const auto toLast = [&](const Argument& of) {
    return r.add("aten::movedim.int", {of, given["dim"], -1.0});
  };
  const Argument source = toLast(given["source"]);
  const Argument places = r.add("aten::expand_as", {given["index"], source});
  const Argument found = scatteredExtreme(r, toLast(given["self"]), -1.0, places, source, *reduce);
  r.is(0, r.add("aten::movedim.int", {found, -1.0, given["dim"]}));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {
                                                  {"aten::index_reduce", indexReduce},
                                                  {"aten::scatter_reduce", scatterReduce},
                                              });

}  // namespace
}  // namespace tc
