// `cdist` and `pdist` have neither forward mode nor a second derivative. Where points coincide the
// derivatives are zero, as PyTorch's gradient is.

#include <cmath>

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

/// `value` where `zero` is false, and 0 without derivatives elsewhere: `of` is called with
/// something that is 1 there, so that no derivative inside is infinite.
template <typename Function>
Argument awayFromZero(Rewriting& r, const Argument& x, Function&& of) {
  const Argument zero = r.add("aten::eq.Scalar", {x, 0.0});
  const Argument inside = r.add("aten::masked_fill.Scalar", {x, zero, Float{1}});
  return r.add("aten::masked_fill.Scalar", {of(inside), zero, Float{0}});
}
Argument power(Rewriting& r, const Argument& x, double exponent) {
  return awayFromZero(r, x, [&](const Argument& inside) {
    return r.add("aten::pow.Tensor_Scalar", {inside, Float{exponent}});
  });
}
Argument sumOfLast(Rewriting& r, const Argument& x) {
  return r.add("aten::sum.dim_IntList", {x, List{-1}, false});
}

/// ‖d‖ₚ over the last axis.
Argument length(Rewriting& r, const Argument& difference, double p) {
  if (p == 0) {  // how many differ
    const Argument differs = r.add("aten::ne.Scalar", {difference, 0.0});
    return r.add("aten::sum.dim_IntList", {differs, List{-1}, false, ProgramSpec::Precision{}});
  }
  if (p == 2) {
    const Argument squares = sumOfLast(r, r.add("aten::mul.Tensor", {difference, difference}));
    return awayFromZero(r, squares,
                        [&](const Argument& inside) { return r.add("aten::sqrt", {inside}); });
  }
  const Argument magnitude = r.add("aten::abs", {difference});
  if (p == 1) return sumOfLast(r, magnitude);
  if (std::isinf(p)) return r.add("aten::amax", {magnitude, List{-1}, false});
  return power(r, sumOfLast(r, power(r, magnitude, p)), 1 / p);
}

bool cdist(Rewriting& r, Node&, const NamedArguments& given) {
  const auto p = given.takes("p") ? given.number("p", 2) : 2;
  if (!given.isTensor("x1") || !given.isTensor("x2") || !p || !(*p >= 0)) return false;
  const Argument rows = r.add("aten::unsqueeze", {given["x1"], -2.0});
  const Argument columns = r.add("aten::unsqueeze", {given["x2"], -3.0});
  r.is(0, length(r, r.add("aten::sub.Tensor", {rows, columns}), *p));
  return true;
}

bool pdist(Rewriting& r, Node&, const NamedArguments& given) {
  const auto p = given.number("p", 2);
  if (!given.isTensor("self") || !p || !(*p >= 0)) return false;
  const Argument& x = given["self"];
  const Size count = sizeAlong(x, 0);
  const Argument pairs = r.add("aten::triu_indices", {count, count, 1.0});
  const auto side = [&](double which) {
    return r.add("aten::index_select", {x, 0.0, r.add("aten::select.int", {pairs, 0.0, which})});
  };
  const Argument first = side(0);
  r.is(0, length(r, r.add("aten::sub.Tensor", {first, side(1)}), *p));
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {
                                                  {"aten::cdist", cdist},
                                                  {"aten::_cdist_forward", cdist},
                                                  {"aten::_euclidean_dist", cdist},
                                                  {"aten::pdist", pdist},
                                                  {"aten::_pdist_forward", pdist},
                                              });

}  // namespace
}  // namespace tc
