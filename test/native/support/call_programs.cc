#include "call_programs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "code_of.h"
#include "core/linearization/rows.h"
#include "core/products/forward.h"
#include "models.h"

namespace tc::test {
namespace {

std::optional<ProgramSpec::Argument> argumentOf(const c10::IValue& value) {
  using List = std::vector<double>;
  if (value.isNone()) return ProgramSpec::Argument{};
  if (value.isBool()) return value.toBool();
  if (value.isInt()) return static_cast<double>(value.toInt());
  if (value.isDouble()) return ProgramSpec::Float{value.toDouble()};
  if (value.isString()) return value.toStringRef();
  if (value.isIntList()) {
    const auto list = value.toIntVector();
    return List(list.begin(), list.end());
  }
  if (value.isDoubleList()) return value.toDoubleVector();
  return {};
}

std::optional<ProgramSpec::Ref> callOn(Builder& b, const DrawnCall& call,
                                       const std::vector<ProgramSpec::Ref>& refs) {
  std::vector<ProgramSpec::Argument> arguments;
  for (const Program::Slot& slot : call.node.slots) {
    if (const auto* ref = std::get_if<ProgramSpec::Ref>(&slot)) {
      arguments.emplace_back(refs[static_cast<size_t>(ref->value)]);
    } else if (const auto* list = std::get_if<ProgramSpec::Refs>(&slot)) {
      ProgramSpec::Refs some;
      for (const auto& each : list->values) {
        some.values.push_back(each ? std::optional(refs[static_cast<size_t>(*each)].value)
                                   : std::nullopt);
      }
      arguments.emplace_back(std::move(some));
    } else if (const auto* sizes = std::get_if<ProgramSpec::Sizes>(&slot)) {
      std::vector<double> numbers;
      for (const ProgramSpec::Size& each : *sizes) {
        const bool axis = each.kind == ProgramSpec::Size::Kind::kAxis;
        numbers.push_back(static_cast<double>(axis ? call.values[0].size(each.axis) : each.number));
      }
      arguments.emplace_back(std::move(numbers));
    } else if (const auto* value = std::get_if<c10::IValue>(&slot)) {
      auto argument = argumentOf(*value);
      if (!argument) return {};
      arguments.push_back(std::move(*argument));
    } else {
      return {};
    }
  }
  return b.call(c10::toString(call.node.op.operator_name()), arguments, call.node.outputs);
}

bool isComplex(const at::Tensor& value) { return value.scalar_type() == at::kComplexDouble; }

bool varies(const at::Tensor& value) {
  return (value.scalar_type() == at::kDouble || isComplex(value)) && value.numel() > 0;
}

/// Whether a program's result is of complex numbers, which it refuses.
bool givesComplex(const Point& point) {
  return codeOf([&] { forwardPass(point, 0, {}); }) == "ERR_DTYPE_MISMATCH";
}

/// A program in the making with what it reads: complex numbers as pairs.
struct Draft {
  Builder b;
  int64_t count;  ///< of inputs, when all are there
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> parameters;

  ProgramSpec::Ref parameter(const at::Tensor& value) {
    const at::Tensor numbers = isComplex(value) ? at::view_as_real(value) : value;
    parameters.push_back(numbers);
    return likeIt(b.parameter(numbers.sizes().vec()), value);
  }
  ProgramSpec::Ref input(const at::Tensor& value) {
    inputs.push_back(isComplex(value) ? at::view_as_real(value) : value);
    return likeIt(b.input(static_cast<int64_t>(inputs.size()) - 1), value);
  }
  /// Pairs as the complex numbers that a value has.
  ProgramSpec::Ref likeIt(ProgramSpec::Ref pairs, const at::Tensor& value) {
    return isComplex(value) ? b.call("aten::view_as_complex", {pairs}) : pairs;
  }
  ProgramSpec::Ref asPairs(ProgramSpec::Ref value) {
    return b.call("aten::view_as_real", {b.call("aten::resolve_conj", {value})});
  }
  std::optional<Point> point(ProgramSpec::Ref result) const {
    if (parameters.empty()) return {};
    Point made{b.build(result), {}, inputs, {}};
    while (std::ssize(made.inputs) < count)
      made.inputs.push_back(at::zeros({DrawnCall::kRows}, at::kDouble));
    std::vector<at::Tensor> flat;
    for (const at::Tensor& each : parameters) flat.push_back(each.reshape({-1}));
    made.params = at::cat(flat);
    made.constants = made.program->constants();
    return made;
  }
  /// The same, of pairs where the result is complex, which it is then.
  std::optional<Point> realPoint(ProgramSpec::Ref& result) {
    const auto made = point(result);
    if (!made || !givesComplex(*made)) return made;
    result = asPairs(result);
    return point(result);
  }
};

/// Numbers of each row by a layer of those that a program gives so far, like `y`.
ProgramSpec::Ref layer(Draft& draft, ProgramSpec::Ref before, const at::Tensor& y,
                       at::IntArrayRef row) {
  Builder& b = draft.b;
  const int64_t in = y.numel() / y.size(0);
  if (y.dim() == 1) before = b.call("aten::unsqueeze", {before, 1.0});
  if (y.dim() > 2) before = b.call("aten::flatten.using_ints", {before, 1.0, -1.0});
  const at::Tensor weight = at::randn({in, c10::multiply_integers(row)}, at::kDouble);
  const auto w = draft.parameter(weight / std::sqrt(static_cast<double>(in)));
  auto value = b.call("aten::tanh", {b.call("aten::mm", {before, w})});
  value = b.call("aten::mul.Scalar", {value, ProgramSpec::Float{0.1}});
  if (row.empty()) return b.call("aten::select.int", {value, 1.0, 0.0});
  if (row.size() == 1) return value;
  return b.call("aten::unflatten.int", {value, 1.0, std::vector<double>(row.begin(), row.end())});
}

/// The same numbers of at least two axes in another layout of memory, or, expanded, the first of
/// each last axis.
ProgramSpec::Ref laidOut(Builder& b, ProgramSpec::Ref x, const at::Tensor& value, uint64_t how) {
  const int64_t rank = value.dim();
  const int64_t last = rank < 1 ? 0 : value.size(-1);
  if (rank < 2 || last < 2) return x;
  switch (how % 6) {
    case 1:
      x = b.call("aten::clone", {b.call("aten::transpose.int", {x, 0.0, -1.0})});
      return b.call("aten::transpose.int", {x, 0.0, -1.0});
    case 2:
      x = b.call("aten::cat", {ProgramSpec::Refs{{x.value, x.value}}, -1.0});
      return b.call("aten::narrow",
                    {x, -1.0, static_cast<double>(last), static_cast<double>(last)});
    case 3:
      x = b.call("aten::repeat_interleave.self_int", {x, 2.0, -1.0});
      return b.call("aten::slice.Tensor", {x, -1.0, 1.0, 2.0 * static_cast<double>(last), 2.0});
    case 4: {
      std::vector<double> sizes(static_cast<size_t>(rank), -1);
      sizes.back() = static_cast<double>(last);
      return b.call("aten::expand", {b.call("aten::narrow", {x, -1.0, 0.0, 1.0}), sizes});
    }
    case 5:  // channels last
      if (rank < 3) return x;
      x = b.call("aten::clone", {b.call("aten::movedim.int", {x, 1.0, -1.0})});
      return b.call("aten::movedim.int", {x, -1.0, 1.0});
    default:
      return x;
  }
}

/// How the values of a call lie; matrices of equal columns, case 4, have no inverse.
uint64_t layoutsFor(const DrawnCall& call, uint64_t layouts) {
  const std::string& name = call.node.op.schema().name();
  const bool solves =
      std::ranges::any_of(std::array{"linalg", "qr", "inverse", "::lu", "det"},
                          [&](const char* part) { return name.find(part) != std::string::npos; });
  return solves ? layouts % 2 : layouts;
}

int64_t rowsOf(const DrawnCall& call) {
  return std::ranges::count_if(call.places, [](const RowAxis& place) { return place.axis >= 0; });
}

/// A call of rows, to each of whose numbers something is added: parameters, or a layer of what is
/// before.
std::optional<ProgramSpec::Ref> callOfRows(Draft& draft, const DrawnCall& call,
                                           std::optional<ProgramSpec::Ref> before,
                                           const at::Tensor& y, uint64_t layouts) {
  std::vector<ProgramSpec::Ref> refs;
  for (size_t i = 0; i < call.values.size(); ++i) {
    const at::Tensor& value = call.values[i];
    if (call.places[i].axis < 0) {
      refs.push_back(varies(value) ? draft.parameter(value) : draft.b.constant(value));
      continue;
    }
    if (call.places[i] != RowAxis{0}) return {};
    ProgramSpec::Ref ref = draft.input(value);
    if (varies(value)) {
      const at::Tensor row = value.select(0, 0);
      const at::Tensor numbers = isComplex(row) ? at::view_as_real(row) : row;
      const auto added = before ? draft.likeIt(layer(draft, *before, y, numbers.sizes()), row)
                                : draft.parameter(at::randn(row.sizes(), row.options()) * 0.1);
      ref = laidOut(draft.b, draft.b.call("aten::add.Tensor", {ref, added}), value,
                    layoutsFor(call, layouts + i));
    }
    refs.push_back(ref);
  }
  return callOn(draft.b, call, refs);
}

}  // namespace

std::optional<Point> wholePoint(const DrawnCall& call, uint64_t layouts) {
  Draft draft{Builder(1), 1, {at::zeros({1}, at::kDouble)}, {}};
  std::vector<ProgramSpec::Ref> refs;
  for (const at::Tensor& value : call.values) {
    refs.push_back(varies(value) ? laidOut(draft.b, draft.parameter(value), value,
                                           layoutsFor(call, layouts + refs.size()))
                                 : draft.b.constant(value));
  }
  const auto result = callOn(draft.b, call, refs);
  if (!result) return {};
  auto whole = draft.b.call("aten::unsqueeze", {*result, 0.0});
  return draft.realPoint(whole);
}

std::optional<Point> pointOfRows(const std::vector<DrawnCall>& calls, uint64_t layouts) {
  at::manual_seed(1);
  int64_t inputs = 0;
  for (const DrawnCall& call : calls) inputs += rowsOf(call);
  if (inputs == 0) return {};
  Draft draft{Builder(inputs), inputs, {}, {}};
  std::optional<ProgramSpec::Ref> result;
  at::Tensor y;
  for (size_t i = 0;; ++i) {
    result = callOfRows(draft, calls[i], result, y, layouts);
    if (!result) return {};
    const auto point = draft.realPoint(*result);
    if (!point || i + 1 == calls.size()) return point;
    // What a call reads is shaped like the result of those before, which a program tells.
    y = forwardPass(*point, 0, {});
    if (!varies(y) || y.dim() == 0 || y.size(0) != DrawnCall::kRows) return {};
  }
}

}  // namespace tc::test
