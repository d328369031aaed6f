// Derivatives of every operator that models may consist of, with arguments drawn at random: forward
// mode, backward mode, rows of J, one product at once, second derivatives and float32 agree with
// one another and with finite differences.

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/linearization/autograd/autograd.h"
#include "core/linearization/engine.h"
#include "core/linearization/rows.h"
#include "core/losses/objective.h"
#include "core/operators/hessian.h"
#include "core/operators/loss_gradient.h"
#include "core/products/forward.h"
#include "drawn_calls.h"
#include "models.h"
#include "random/random_programs.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

const StopToken kNever;

/// Elements of results and parameters that are compared: rows of J take their product.
constexpr int64_t kMost = 200;

/// Those that pass no derivatives on, by what they are for; and those whose finite differences mean
/// nothing: results with a choice of their own (signs, bases of null spaces), and functions of
/// symmetric or triangular matrices, or of probabilities.
const std::set<std::string> kWithout = {
    "aten::detach",
    "aten::detach_copy",
    "aten::svd",
    "aten::linalg_svd",
    "aten::_linalg_svd",
    "aten::linalg_cholesky",
    "aten::linalg_cholesky_ex",
    "aten::cholesky",
    "aten::cholesky_inverse",
    "aten::cholesky_solve",
    "aten::linalg_eigh",
    "aten::_linalg_eigh",
    "aten::linalg_eigvalsh",
    "aten::binary_cross_entropy_backward",
};

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

/// A program of one call: its first result of numbers with fractions, by what it is computed from.
class OneCall {
 public:
  explicit OneCall(const DrawnCall& call) : call_(call) {}

  /// Of rows, where all values have them first or not at all; or of one row, which is all of it.
  std::optional<Point> point(bool ofRows) {
    std::vector<at::Tensor> inputs;
    std::vector<at::Tensor> parameters;
    int64_t count = 0;
    for (const RowAxis& place : call_.places) count += ofRows && place.axis >= 0 ? 1 : 0;
    Builder b(std::max<int64_t>(count, 1));
    std::vector<ProgramSpec::Ref> refs;
    for (size_t i = 0; i < call_.values.size(); ++i) {
      const at::Tensor& value = call_.values[i];
      const bool rows = ofRows && call_.places[i].axis >= 0;
      if (rows && call_.places[i] != RowAxis{0}) return {};
      ProgramSpec::Ref ref{};
      if (rows) {
        ref = b.input(static_cast<int64_t>(inputs.size()));
        inputs.push_back(value);
      }
      if (value.scalar_type() == at::kDouble && value.numel() > 0) {
        const auto shape = rows ? value.sizes().slice(1) : value.sizes();
        const auto parameter = b.parameter(shape.vec());
        parameters.push_back(rows ? at::randn(shape, at::kDouble) * 0.1 : value);
        ref = rows ? b.call("aten::add.Tensor", {ref, parameter}) : parameter;
      } else if (!rows) {
        ref = b.constant(value);
      }
      refs.push_back(ref);
    }
    if (parameters.empty()) return {};
    if (inputs.empty()) inputs.push_back(at::zeros({1}, at::kDouble));
    const auto result = callOf(b, refs);
    if (!result) return {};
    Point point{
        b.build(ofRows ? *result : b.call("aten::unsqueeze", {*result, 0.0})), {}, inputs, {}};
    for (at::Tensor& each : parameters) each = each.reshape({-1});
    point.params = at::cat(parameters);
    point.constants = point.program->constants();
    return point;
  }

 private:
  std::optional<ProgramSpec::Ref> callOf(Builder& b, const std::vector<ProgramSpec::Ref>& refs) {
    std::vector<ProgramSpec::Argument> arguments;
    for (const Program::Slot& slot : call_.node.slots) {
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
          numbers.push_back(
              static_cast<double>(axis ? call_.values[0].size(each.axis) : each.number));
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
    const auto& schema = call_.node.op.schema();
    const std::string& overload = schema.overload_name();
    return b.call(schema.name() + (overload.empty() ? "" : "." + overload), arguments,
                  call_.node.outputs);
  }

  const DrawnCall& call_;
};

bool isFinite(const at::Tensor& t) { return t.isfinite().all().item<bool>(); }
double lengthOf(const at::Tensor& t) { return t.norm().item<double>(); }
double innerOf(const at::Tensor& a, const at::Tensor& b) {
  return a.flatten().dot(b.flatten()).item<double>();
}

/// What changes of a function along v, by central differences; nothing where two steps disagree.
template <typename F>
std::optional<at::Tensor> difference(const Point& point, const at::Tensor& v, F&& f) {
  const auto by = [&](double step) {
    Point ahead = point;
    Point behind = point;
    ahead.params = point.params + step * v;
    behind.params = point.params - step * v;
    return (f(ahead) - f(behind)) / (2 * step);
  };
  const at::Tensor wide = by(1e-5);
  const at::Tensor narrow = by(4e-6);
  if (!isFinite(wide) || lengthOf(wide - narrow) > 1e-4 * lengthOf(wide) + 1e-7) return {};
  return narrow;
}

/// How often each was compared.
struct Counts {
  int64_t slopes = 0;
  int64_t rows = 0;
  int64_t bends = 0;
  int64_t singles = 0;
} counts;

/// Its numbers in float32.
Point inSinglePrecision(Point point) {
  const auto narrowed = [](at::Tensor& t) {
    if (t.scalar_type() == at::kDouble) t = t.to(at::kFloat);
  };
  narrowed(point.params);
  for (at::Tensor& each : point.inputs) narrowed(each);
  for (at::Tensor& each : point.constants) narrowed(each);
  return point;
}

/// The same numbers in float64 as those that another has in float32.
Point inDoublePrecision(Point point, const Point& narrow) {
  const auto widened = [](at::Tensor& t, const at::Tensor& from) {
    if (t.scalar_type() == at::kDouble) t = from.to(at::kDouble);
  };
  widened(point.params, narrow.params);
  for (size_t i = 0; i < point.inputs.size(); ++i) widened(point.inputs[i], narrow.inputs[i]);
  for (size_t i = 0; i < point.constants.size(); ++i)
    widened(point.constants[i], narrow.constants[i]);
  return point;
}

/// The result, J v, Jᵀu, and JᵀJ v of a kept graph and at once.
using Products = std::array<at::Tensor, 5>;

Products productsOf(const Point& point, const at::Tensor& v, const at::Tensor& u) {
  const auto kept = linearizeAutograd(point, kNever);
  const auto once = linearizeOnce(point, Engine::kAutograd, 0);
  return {kept->output(), kept->jvp(v, kNever), kept->vjp(u, kNever), kept->matvec(v, kNever),
          once->matvec(v, kNever)};
}

bool agree(const at::Tensor& a, const at::Tensor& b, double tolerance) {
  return a.sizes() == b.sizes() &&
         lengthOf(a - b) <= tolerance * (lengthOf(a) + lengthOf(b)) + tolerance;
}

/// Whether there were derivatives to compare.
bool checkPoint(const Point& point, const std::string& what) {
  const auto fails = [&](const char* law) { FAIL_CHECK(what << ": " << law); };
  std::unique_ptr<Linearization> kept;
  try {
    kept = linearizeAutograd(point, kNever);
  } catch (const std::exception&) {
    return false;  // it has no derivatives, or refuses them
  }
  const at::Tensor& y = kept->output();
  if (y.scalar_type() != at::kDouble || y.numel() == 0 || y.numel() > kMost ||
      point.params.numel() > kMost || !isFinite(y))
    return false;
  const at::Tensor v = randomLike(point.params, 1);
  const at::Tensor u = randomLike(y, 2);
  at::Tensor jv;
  at::Tensor ju;
  at::Tensor product;
  try {
    jv = kept->jvp(v, kNever);
    ju = kept->vjp(u, kNever);
    product = kept->matvec(v, kNever);
  } catch (const std::exception&) {
    return false;
  }
  if (!isFinite(jv) || !isFinite(ju) || !isFinite(product)) return false;
  const double scale = lengthOf(u) * lengthOf(jv) + lengthOf(ju) * lengthOf(v) + 1;
  if (std::abs(innerOf(u, jv) - innerOf(ju, v)) > 1e-9 * scale) fails("adjoint");
  const auto slope = difference(point, v, [](const Point& p) { return forwardPass(p, 0, kNever); });
  counts.slopes += slope ? 1 : 0;
  if (slope && !agree(*slope, jv, 1e-3)) fails("finite differences");
  try {
    const at::Tensor once = linearizeOnce(point, Engine::kAutograd, 0)->matvec(v, kNever);
    if (!agree(once, product, 1e-9)) fails("a product at once");
    if (point.batch() > 1) tryIndependentRows(point, kNever);
    at::Tensor rows = at::empty({y.numel(), v.numel()}, v.options());
    kept->jacobian(0, y.size(0), rows, kNever);
    ++counts.rows;
    if (!agree(rows.mv(v), jv.flatten(), 1e-9)) fails("rows of J");
  } catch (const std::exception&) {
    // it refuses one of them
  }
  try {
    const Point narrow = inSinglePrecision(point);
    const Point wide = inDoublePrecision(point, narrow);
    // Where rounding moves the result itself, its derivatives are those of another point.
    if (agree(forwardPass(wide, 0, kNever), y, 1e-5)) {
      ++counts.singles;
      const Products in32 = productsOf(narrow, v.to(at::kFloat), u.to(at::kFloat));
      const Products in64 =
          productsOf(wide, v.to(at::kFloat).to(at::kDouble), u.to(at::kFloat).to(at::kDouble));
      for (size_t i = 0; i < in32.size(); ++i)
        if (!agree(in32[i].to(at::kDouble), in64[i], 1e-3)) fails("float32");
    }
  } catch (const std::exception&) {
    // it refuses float32
  }
  try {
    const Objective objective =
        makeObjective(makeLoss("mse"), outputLike(point), at::zeros_like(y), Reduction::kSum);
    const ChunkOptions options{Engine::kAutograd};
    const OperatorPtr second = hessian(point, options, objective, {}, kNever);
    const at::Tensor w = randomLike(point.params, 3);
    const at::Tensor hv = second->matvec(v, kNever);
    const at::Tensor hw = second->matvec(w, kNever);
    if (!isFinite(hv) || !isFinite(hw)) return true;
    if (std::abs(innerOf(w, hv) - innerOf(v, hw)) >
        1e-8 * (lengthOf(w) * lengthOf(hv) + lengthOf(v) * lengthOf(hw) + 1))
      fails("a symmetric Hessian");
    const auto bend = difference(point, v, [&](const Point& p) {
      return lossGradient(p, options, objective, {}, kNever).gradient;
    });
    counts.bends += bend ? 1 : 0;
    if (bend && !agree(*bend, hv, 1e-3)) fails("finite differences of the gradient");
  } catch (const std::exception&) {
    // it has no second derivatives, or refuses them
  }
  return true;
}

bool checkOperator(const c10::OperatorHandle& op, uint64_t seed, bool ofRows) {
  std::optional<DrawnCall> call = drawCall(op, seed);
  if (!call) return false;
  std::optional<Point> point;
  try {
    point = OneCall(*call).point(ofRows);
    if (!point) return false;
    forwardPass(*point, 0, kNever);
  } catch (const std::exception&) {
    return false;  // the operator does not take them, or its result has no rows
  }
  return checkPoint(*point, op.schema().name() + "." + op.schema().overload_name() + call->text +
                                (ofRows ? " by rows" : " whole"));
}

}  // namespace

TEST_CASE("derivatives of every operator agree with one another and with finite differences") {
  const Seeds which = seeds(1, 8);
  std::set<std::string> known;
  for (const c10::OperatorHandle& op : operatorsOfModels()) {
    if (kWithout.contains(op.schema().name())) continue;
    for (uint64_t seed = which.first; seed < which.first + which.count; ++seed) {
      for (const bool ofRows : {false, true}) {
        if (checkOperator(op, seed, ofRows)) known.insert(op.schema().name());
      }
    }
  }
  const auto tried = static_cast<int64_t>(which.count);
  CHECK(known.size() > 150);
  CHECK(counts.slopes > 100 * tried);
  CHECK(counts.rows > 100 * tried);
  CHECK(counts.bends > 50 * tried);
  CHECK(counts.singles > 100 * tried);
}
