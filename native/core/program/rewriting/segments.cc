// `segment_reduce`, which has neither forward mode nor a second derivative.

#include <limits>
#include <optional>
#include <string>

#include "core/program/rewriting/rewriting.h"

namespace tc {
namespace {

using namespace rewriting;

/// Reductions of segments of rows, along the first axis, that follow one another.
class Segments {
 public:
  Segments(Rewriting& r, const Argument& rows, const Argument& lengths)
      : r_(r), rows_(rows), lengths_(lengths) {
    const Argument rowCount = sizeAlong(rows, 0);
    // The segments of the rows; an error where their lengths do not add up to the number of rows.
    places_ = r.add("aten::repeat_interleave.Tensor", {lengths, rowCount});
  }

  Argument sum(double initial) {
    return r_.add("aten::index_add", {each(initial), 0.0, places_, rows_});
  }
  /// Of a segment without rows it is `initial`, or NaN.
  Argument mean(std::optional<double> initial) {
    Argument counts = r_.add("aten::type_as", {lengths_, rows_});
    if (initial) counts = r_.add("aten::clamp_min", {counts, 1.0});
    const Argument last = toLast(sum(initial.value_or(0)));
    return toFirst(r_.add("aten::div.Tensor", {last, counts}));
  }
  Argument reduce(const std::string& how, double initial) {
    const Argument rows = toLast(rows_);
    const Argument places = r_.add("aten::expand_as", {places_, rows});
    return toFirst(
        r_.add("aten::scatter_reduce.two", {toLast(each(initial)), -1.0, places, rows, how, true}));
  }

 private:
  Argument toLast(const Argument& x) { return r_.add("aten::movedim.int", {x, 0.0, -1.0}); }
  Argument toFirst(const Argument& x) { return r_.add("aten::movedim.int", {x, -1.0, 0.0}); }
  /// A row of `value` for each segment.
  Argument each(double value) {
    const Argument zeros = r_.add("aten::zeros_like", {rows_});
    const Argument row = r_.add("aten::sum.dim_IntList", {zeros, List{0}, true});
    const Argument rows =
        r_.add("aten::repeat_interleave.self_int", {row, sizeAlong(lengths_, 0), 0.0});
    return r_.add("aten::add.Scalar", {rows, Float{value}});
  }

  Rewriting& r_;
  Argument rows_;
  Argument lengths_;
  Argument places_;
};

bool segmentReduce(Rewriting& r, Node&, const NamedArguments& given) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto initial = given.number("initial", std::nullopt);
  const bool unknown = !std::holds_alternative<std::monostate>(given["initial"]) && !initial;
  const auto* how = std::get_if<std::string>(&given["reduce"]);
  const bool known = given.isTensor("data") && how != nullptr && given.number("axis", 0) == 0;
  if (!known || unknown || given.isTensor("indices")) return false;
  Argument lengths = given["lengths"];
  if (given.isTensor("offsets")) lengths = r.add("aten::diff", {given["offsets"]});
  if (!std::holds_alternative<Ref>(lengths)) return false;
  Segments segments(r, given["data"], lengths);
  if (*how == "sum") {
    r.is(0, segments.sum(initial.value_or(0)));
  } else if (*how == "mean") {
    r.is(0, segments.mean(initial));
  } else if (*how == "max") {
    r.is(0, segments.reduce("amax", initial.value_or(-kInfinity)));
  } else if (*how == "min") {
    r.is(0, segments.reduce("amin", initial.value_or(kInfinity)));
  } else if (*how == "prod") {
    r.is(0, segments.reduce("prod", initial.value_or(1)));
  } else {
    return false;
  }
  return true;
}

const Rows<RewriteRule> kRows(rewriteRules(), {{"aten::segment_reduce", segmentReduce}});

}  // namespace
}  // namespace tc
