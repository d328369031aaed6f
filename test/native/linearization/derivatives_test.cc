// Derivatives of every operator that models may consist of, with arguments drawn at random: forward
// mode, backward mode, rows of J, one product at once, second derivatives and float32 agree with
// one another and with finite differences.

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "call_programs.h"
#include "core/linearization/autograd/autograd.h"
#include "core/linearization/chunked.h"
#include "core/linearization/engine.h"
#include "core/linearization/rows.h"
#include "core/losses/objective.h"
#include "core/operators/gramian.h"
#include "core/operators/hessian.h"
#include "core/operators/loss_gradient.h"
#include "core/products/forward.h"
#include "core/products/on_the_fly.h"
#include "counts.h"
#include "drawn_calls.h"
#include "known_calls.h"
#include "models.h"
#include "random/random_programs.h"
#include "scoped_threads.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

const StopToken kNever;

/// Elements of results and parameters that are compared: rows of J take their product.
constexpr int64_t kMost = 600;

/// Those that pass no derivatives on, by what they are for; and those whose second derivatives are
/// of probabilities, or of symmetric matrices.
const std::set<std::string> kWithout = {"aten::detach", "aten::detach_copy",
                                        "aten::binary_cross_entropy_backward"};

/// Those whose finite differences mean nothing at any point: results with a choice of their own
/// (signs, bases of null spaces), and functions of symmetric or triangular matrices.
const std::set<std::string> kWithoutSlopes = {
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
};

/// The same by what they are called with.
bool hasSlope(const DrawnCall& call) {
  return !kWithoutSlopes.contains(call.node.op.schema().name()) &&
         call.text.find("padding_idx=") == std::string::npos;
}

bool isLeftOut(const DrawnCall& call) {
  return kWithout.contains(call.node.op.schema().name()) ||
         call.text.find("hermitian=True") != std::string::npos;
}

/// Those that are other functions in float32: eigenvalues in another order, an eps of the
/// precision.
constexpr const char* kOtherInSingle[] = {"eig", "svd", "rms_norm"};

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
  int64_t chunks = 0;
  int64_t diagonals = 0;
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

std::string textOf(const std::vector<DrawnCall>& calls) {
  std::string text;
  for (const DrawnCall& call : calls) {
    const auto& schema = call.node.op.schema();
    text += schema.name() + "." + schema.overload_name() + call.text + "; ";
  }
  return text;
}

/// Whether there were derivatives to compare.
bool checkPoint(const Point& point, const std::string& what, bool slopes = true) {
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
  const auto slope =
      slopes ? difference(point, v, [](const Point& p) { return forwardPass(p, 0, kNever); })
             : std::nullopt;
  counts.slopes += slope ? 1 : 0;
  if (slope && !agree(*slope, jv, 1e-3)) fails("finite differences");
  try {
    const at::Tensor once = linearizeOnce(point, Engine::kAutograd, 0)->matvec(v, kNever);
    if (!agree(once, product, 1e-9)) fails("a product at once");
    for (const int threads : {1, 3}) {
      const Threads scope(threads);
      if (!agree(matvecOnTheFly(point, v, Engine::kAuto, 0, kNever), product, 1e-9))
        fails("a product on several threads");
    }
    if (point.batch() > 1) tryIndependentRows(point, kNever);
    for (int64_t chunk = 1; chunk <= 3 && point.batch() > 1; ++chunk) {
      ++counts.chunks;
      if (!agree(matvecOnTheFly(point, v, Engine::kAuto, chunk, kNever), product, 1e-9))
        fails("a product in chunks");
    }
    at::Tensor rows = at::empty({y.numel(), v.numel()}, v.options());
    kept->jacobian(0, y.size(0), rows, kNever);
    ++counts.rows;
    if (!agree(rows.mv(v), jv.flatten(), 1e-9)) fails("rows of J");
    if (point.batch() > 1) {
      const auto chunked =
          std::make_shared<ChunkedLinearization>(point, ChunkOptions{Engine::kAuto, 3}, kNever);
      const at::Tensor diagonal = gramian(chunked)->diagonal(kNever);
      ++counts.diagonals;
      if (!agree(diagonal, rows.square().sum(0), 1e-9)) fails("a diagonal");
    }
  } catch (const std::exception&) {
    // it refuses one of them
  }
  try {
    const Point narrow = inSinglePrecision(point);
    const Point wide = inDoublePrecision(point, narrow);
    const bool other = std::ranges::any_of(
        kOtherInSingle, [&](const char* name) { return what.find(name) != std::string::npos; });
    // Where rounding moves the result itself, its derivatives are those of another point.
    if (!other && agree(forwardPass(wide, 0, kNever), y, 1e-5)) {
      ++counts.singles;
      const Products in32 = productsOf(narrow, v.to(at::kFloat), u.to(at::kFloat));
      const Products in64 =
          productsOf(wide, v.to(at::kFloat).to(at::kDouble), u.to(at::kFloat).to(at::kDouble));
      const auto agreeIn32 = [&](size_t i, double tolerance) {
        return agree(in32[i].to(at::kDouble), in64[i], tolerance);
      };
      // The same where rounding moves it on the way.
      const size_t compared = agreeIn32(0, 1e-5) ? in32.size() : 1;
      for (size_t i = 0; i < compared; ++i)
        if (!agreeIn32(i, 1e-3)) fails("float32");
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
    const auto bend =
        slopes ? difference(point, v,
                            [&](const Point& p) {
                              return lossGradient(p, options, objective, {}, kNever).gradient;
                            })
               : std::nullopt;
    counts.bends += bend ? 1 : 0;
    if (bend && !agree(*bend, hv, 1e-3)) fails("finite differences of the gradient");
  } catch (const std::exception&) {
    // it has no second derivatives, or refuses them
  }
  return true;
}

bool checkCall(const std::optional<DrawnCall>& call, uint64_t seed, bool ofRows) {
  if (!call || isLeftOut(*call)) return false;
  std::optional<Point> point;
  try {
    point = ofRows ? pointOfRows({*call}, seed - 1) : wholePoint(*call, seed - 1);
    if (!point) return false;
    forwardPass(*point, 0, kNever);
  } catch (const std::exception&) {
    return false;  // the operator does not take them, or its result has no rows
  }
  return checkPoint(*point, textOf({*call}) + (ofRows ? "by rows" : "whole"), hasSlope(*call));
}

/// Some calls that take what those before them give.
std::vector<DrawnCall> drawCalls(const std::vector<c10::OperatorHandle>& operators, uint64_t seed) {
  std::mt19937 random(static_cast<uint32_t>(seed));
  const size_t wanted = 2 + random() % 2;
  std::vector<DrawnCall> calls;
  for (int attempt = 0; attempt < 60 && calls.size() < wanted; ++attempt) {
    const c10::OperatorHandle& op = operators[random() % operators.size()];
    const uint64_t each = random();
    const size_t known = knownCalls(op);
    auto call = known > 0 && random() % 2 == 0
                    ? std::optional(knownCall(op, random() % known, {1, false, true}, each))
                    : drawCall(op, each);
    if (!call || isLeftOut(*call)) continue;
    calls.push_back(std::move(*call));
    try {
      const auto point = pointOfRows(calls, seed);
      if (point && isFinite(forwardPass(*point, 0, kNever))) continue;
    } catch (const std::exception&) {
      // it does not take these
    }
    calls.pop_back();
  }
  return calls;
}

}  // namespace

TEST_CASE("derivatives of every operator agree with one another and with finite differences") {
  const Seeds which = seeds(1, 8);
  std::set<std::string> known;
  for (const c10::OperatorHandle& op : operatorsOfModels()) {
    for (uint64_t seed = which.first; seed < which.first + which.count; ++seed) {
      for (const bool ofRows : {false, true}) {
        if (checkCall(drawCall(op, seed), seed, ofRows)) known.insert(op.schema().name());
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

TEST_CASE("and so do those of calls that PyTorch's tests make, changed a little") {
  const Seeds which = seeds(1, 4);
  std::set<std::string> known;
  counts = {};
  SomeOf calls(3);
  for (const c10::OperatorHandle& op : operatorsOfModels()) {
    for (size_t i = 0; i < knownCalls(op); ++i) {
      if (!calls.next()) continue;
      for (uint64_t seed = which.first; seed < which.first + which.count; ++seed) {
        for (const bool ofRows : {false, true}) {
          const auto most = static_cast<int64_t>(seed - which.first);
          if (checkCall(knownCall(op, i, {most, false, ofRows}, seed), seed, ofRows))
            known.insert(op.schema().name());
        }
      }
    }
  }
  CHECK(known.size() > 250);
  CHECK(counts.slopes > 500);
  CHECK(counts.rows > 500);
  CHECK(counts.bends > 250);
}

TEST_CASE("and so do those of functions of symmetric matrices and of factors of matrices") {
  using Argument = ProgramSpec::Argument;
  using Ref = ProgramSpec::Ref;
  enum class Of { kAny, kPositive, kFactor };
  struct Row {
    Of of;
    const char* target;
    /// Those behind the matrix.
    std::vector<Argument> arguments;
    int64_t result = 0;
    int64_t results = 1;
  };
  const std::vector<Argument> none;
  const std::vector<Row> rows = {
      {Of::kPositive, "aten::linalg_cholesky", none},
      {Of::kPositive, "aten::linalg_cholesky", {true}},
      {Of::kPositive, "aten::linalg_cholesky_ex", none, 0, 2},
      {Of::kPositive, "aten::cholesky", {true}},
      {Of::kFactor, "aten::cholesky_inverse", none},
      {Of::kPositive, "aten::linalg_eigh", none, 0, 2},
      {Of::kPositive, "aten::linalg_eigh", none, 1, 2},
      {Of::kPositive, "aten::linalg_eigh", {std::string("U")}, 1, 2},
      {Of::kPositive, "aten::linalg_eigvalsh", none},
      {Of::kPositive, "aten::linalg_pinv", {1e-15, true}},
      {Of::kAny, "aten::svd", none, 0, 3},
      {Of::kAny, "aten::svd", none, 1, 3},
      {Of::kAny, "aten::linalg_svd", {false}, 0, 3},
      {Of::kAny, "aten::linalg_svd", {false}, 2, 3},
      {Of::kAny, "aten::linalg_svdvals", none},
  };
  const std::vector<std::pair<int64_t, int64_t>> sizes = {{3, 5}, {4, 4}, {5, 3}, {1, 1}};
  const Seeds which = seeds(1, 4);
  counts = {};
  for (const Row& row : rows) {
    for (uint64_t seed = which.first; seed < which.first + which.count; ++seed) {
      for (const auto& [n, m] : sizes) {
        Builder b;
        const Ref p = b.parameter({n, m});
        std::vector<at::Tensor> constants;
        Ref argument = p;
        if (row.of != Of::kAny) {
          constants = {randomLike(at::empty({n, n}, at::kDouble), seed)};
          const Ref shift = b.constant(constants[0]);
          const Ref square = b.call("aten::mm", {p, b.call("aten::t", {p})});
          const Ref shifts = b.call("aten::mm", {shift, b.call("aten::t", {shift})});
          argument = b.call("aten::add.Tensor", {square, shifts, 1.0});
        }
        if (row.of == Of::kFactor) argument = b.call("aten::linalg_cholesky", {argument, false});
        std::vector<Argument> arguments{argument};
        arguments.insert(arguments.end(), row.arguments.begin(), row.arguments.end());
        const Ref first = b.call(row.target, arguments, row.results);
        const Ref flat =
            b.call("aten::flatten.using_ints", {Ref{first.value + row.result}, 0.0, -1.0});
        const Ref line = b.call("aten::unsqueeze", {flat, 0.0});
        const Point point{b.build(b.call("aten::mul.Tensor", {line, b.input()})),
                          randomLike(at::empty({n * m}, at::kDouble), seed + 100),
                          {randomLike(at::empty({3, 1}, at::kDouble), seed)},
                          constants};
        const std::string text = std::string(row.target) + " result " + std::to_string(row.result) +
                                 " of " + std::to_string(n) + " x " + std::to_string(m);
        if (!checkPoint(point, text)) FAIL_CHECK(text << ": no derivatives");
      }
    }
  }
  const int64_t all = std::ssize(rows) * std::ssize(sizes) * static_cast<int64_t>(which.count);
  CHECK(counts.slopes == all);
  CHECK(counts.bends == all);
}

TEST_CASE("and so do those of calls on what calls give") {
  const Seeds which = seeds(1, 400);
  const std::vector<c10::OperatorHandle> operators = operatorsOfModels();
  uint64_t checked = 0;
  counts = {};
  for (uint64_t seed = which.first; seed < which.first + which.count; ++seed) {
    const std::vector<DrawnCall> calls = drawCalls(operators, seed);
    if (calls.size() < 2) continue;
    const std::string text = "seed " + std::to_string(seed) + ": " + textOf(calls);
    if (checkPoint(*pointOfRows(calls, seed), text, std::ranges::all_of(calls, hasSlope)))
      ++checked;
  }
  CHECK(3 * checked > which.count);
  CHECK(counts.chunks > 0);
  CHECK(counts.diagonals > 0);
}
