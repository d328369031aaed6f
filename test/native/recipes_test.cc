// The recipes of ARCHITECTURE.md: one of each kind of thing that can be added, the documented way.
// Nothing outside of what each test adds knows of it.
#include <ATen/ATen.h>

#include <cmath>
#include <functional>

#include "code_of.h"
#include "core/linearization/autograd/pushforwards/pushforward.h"
#include "core/linearization/fused/engine.h"
#include "core/operators/combine.h"
#include "core/operators/gramian.h"
#include "core/operators/matrix.h"
#include "core/operators/request.h"
#include "core/program/schema.h"
#include "core/solvers/linear_method.h"
#include "fused_programs.h"
#include "models.h"

// The kernels once more, for the registers of every processor, to add an activation to.
#define TC_ISA_NAMESPACE recipe
#define TC_VECTOR_BYTES 16
#define TC_ROWS 4
#define TC_VECTORS 2
#define TC_OUTER_ROWS 2
#include "core/kernels/kernels.inc"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

namespace tc::test {
namespace {

const StopToken kNever;

OperatorRequest requestOf(const Model& model, const std::string& loss) {
  OperatorRequest request;
  request.point = model.point;
  request.problem.loss = loss;
  request.problem.target = model.target;
  return request;
}

const Model& regression() {
  static const std::vector<Model> all = models();
  return *std::ranges::find(all, "mse", &Model::loss);
}

// --- a loss
// ---------------------------------------------------------------------------------------

/// Σ ½ (y − t)², the negative log-likelihood of a Gaussian of variance 1; `precision` is an option.
class HalfSquaredError : public Loss {
 public:
  explicit HalfSquaredError(const LossOptions& options)
      : precision_(options.number("precision", 1)) {}
  void check(const at::Tensor& y, const at::Tensor& target) const override {
    checkLikeOutput(y, target);
  }
  double divisor(const at::Tensor& y, const at::Tensor&) const override {
    return static_cast<double>(y.numel());
  }
  std::optional<int64_t> datumAxis(const at::Tensor& y) const override { return y.dim() - 1; }
  at::Tensor rowValues(const at::Tensor& y, const at::Tensor& target) const override {
    return (y - target).square().reshape({y.size(0), -1}).sum(1) * (precision_ / 2);
  }
  at::Tensor gradient(const at::Tensor& y, const at::Tensor& target) const override {
    return (y - target) * precision_;
  }
  at::Tensor hessianProduct(const at::Tensor&, const at::Tensor&,
                            const at::Tensor& u) const override {
    return u * precision_;
  }
  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor&, const Draws& draws,
                             int64_t sample) const override {
    return draws.normal(y.sizes(), sample, y.scalar_type()).to(y.device()) * std::sqrt(precision_);
  }

 private:
  double precision_;
};

}  // namespace

TEST_CASE("a loss is a class and a row") {
  const Model& model = regression();
  {
    const Rows<LossMaker> rows(losses(), {{"half_squared", lossOf<HalfSquaredError>}});
    for (const std::string kind : {"gaussNewton", "hessian", "empiricalFisher", "fisher"}) {
      CAPTURE(kind);
      // Half the loss has half the curvature, and outer products of half the gradients.
      const double share = kind == "gaussNewton" || kind == "hessian" ? 0.5
                           : kind == "empiricalFisher"                ? 0.25
                                                                      : 0.5;
      const at::Tensor half =
          makeOperator(kind, requestOf(model, "half_squared"), kNever)->toDense(kNever);
      const at::Tensor whole = makeOperator(kind, requestOf(model, "mse"), kNever)->toDense(kNever);
      CHECK(difference(half, whole * share) < 1e-12);
      OperatorRequest twice = requestOf(model, "half_squared");
      twice.problem.lossOptions.set("precision", 2.0);
      CHECK(difference(makeOperator(kind, twice, kNever)->toDense(kNever), whole) < 1e-12);
    }
  }
  CHECK(codeOf([&] { makeOperator("hessian", requestOf(model, "half_squared"), kNever); }) ==
        "ERR_INVALID_ARGUMENT");
}

// --- an operator
// ----------------------------------------------------------------------------------

namespace {

/// JᵀJ + λ I, with an option of its own.
OperatorPtr makeDampedGramian(const OperatorRequest& request, const StopToken& stop) {
  RowWeights weights = request.rowWeights();
  return shifted(gramian(request.linearization(stop), std::move(weights)),
                 request.arguments.number("damping", 1));
}

}  // namespace

TEST_CASE("an operator is a function that makes it and a row") {
  const Rows<OperatorKind> rows(
      operatorKinds(), {{"dampedGramian", {"torch_curvature::damped_gramian", makeDampedGramian}}});
  OperatorRequest request = requestOf(regression(), "");
  const at::Tensor gram = makeOperator("gramian", request, kNever)->toDense(kNever);
  const at::Tensor identity = at::eye(gram.size(0), gram.options());
  CHECK(difference(makeOperator("dampedGramian", request, kNever)->toDense(kNever),
                   gram + identity) < 1e-12);
  request.arguments.set("damping", 0.25);
  CHECK(difference(makeOperator("dampedGramian", request, kNever)->toDense(kNever),
                   gram + identity * 0.25) < 1e-12);
  request.problem.center = true;  // which its row does not speak of
  CHECK(codeOf([&] { makeOperator("dampedGramian", request, kNever); }) == "ERR_INVALID_ARGUMENT");
}

TEST_CASE("two rows of one name are refused") {
  CHECK_THROWS_AS(Rows<OperatorKind>(operatorKinds(), {{"hessian", {"", makeDampedGramian}}}),
                  std::logic_error);
  CHECK(operatorKinds().find("hessian") != nullptr);
}

// --- a solver
// -------------------------------------------------------------------------------------

namespace {

std::optional<Ending> steepestDescent(System& system, at::Tensor r) {
  while (system.goesOn()) {
    const at::Tensor product = system.apply(r);
    const double alpha = dotOf(r, r) / dotOf(r, product);
    system.d.add_(r, alpha);
    r.sub_(product, alpha);
    if (auto ending = system.advance(normOf(r))) return ending;
  }
  return std::nullopt;
}

SolverResult descend(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options,
                     const StopToken& stop) {
  return solveBySweeps(a, b, options, stop, "the residual no longer falls", steepestDescent);
}

}  // namespace

TEST_CASE("a solver is a function and a row") {
  const Rows<SolverMethod> rows(solverMethods(), {{"steepestDescent", linearMethod<descend>}});
  const at::Tensor diagonal = at::tensor({1.0, 2.0, 3.0}, at::kDouble);
  const OperatorPtr a = diagonalOperator(diagonal);
  Arguments given;
  given.set("b", at::tensor({1.0, 1.0, 1.0, 2.0, 0.0, -3.0}, at::kDouble));
  given.set("count", 2.0);
  given.set("tolerance", 1e-10);
  given.set("maxIterations", 500.0);
  const Record record = solverMethods().at("steepestDescent")(*a, given, kNever);
  REQUIRE(record.fields.size() == 2);
  const auto& [x, records] = std::pair(record.fields[0].second, record.fields[1].second);
  const at::Tensor expected = std::get<at::Tensor>(x) * diagonal;
  CHECK(difference(expected.reshape({-1}), at::tensor({1.0, 1.0, 1.0, 2.0, 0.0, -3.0})) < 1e-8);
  CHECK(std::get<std::vector<Record>>(records).size() == 2);
  given.set("tolerance", std::string("small"));
  CHECK(codeOf([&] { solverMethods().at("steepestDescent")(*a, given, kNever); }) ==
        "ERR_INVALID_ARGUMENT");
}

// --- an operator's rule
// ---------------------------------------------------------------------------

TEST_CASE("an operator's rule is a function and a row") {
  int uses = 0;
  const Rows<Rule> rows(pushforwardRules(),
                        {{"aten::exp", [&uses](const tc::Call& call) -> Pushforward {
                            ++uses;
                            return [y = call.results.front()](const Tangents& tangents) {
                              return Tangents{y * tangents.front()};
                            };
                          }}});
  const at::Tensor x = at::linspace(-1, 1, 5, at::kDouble);
  const tc::Call call{findOperator("aten::exp"), {x}, {x.exp()}, {{0, 0, x}}};
  CHECK(difference(pushforward(call)({at::ones_like(x)}).front(), x.exp()) < 1e-15);
  CHECK(uses == 1);
}

}  // namespace tc::test

// --- an activation of the fused engine
// ------------------------------------------------------------

namespace tc::fused::recipe {
namespace {

/// z²
template <typename T>
struct Square {
  explicit Square(const Activation&) {}
  TC_INLINE ValueAndSlope<T> operator()(typename Simd<T>::V z) const { return {z * z, z + z}; }
};

/// The kernels with one activation more.
template <typename T>
const Kernels<T>& extended() {
  static const std::vector<ActivationKernel<T>> rows = [] {
    std::vector<ActivationKernel<T>> all(std::begin(kActivations<T>), std::end(kActivations<T>));
    all.push_back({"aten::square", nullptr, activate<T, Square>});
    return all;
  }();
  static const Kernels<T> table = [] {
    Kernels<T> kernels = kTable<T>;
    kernels.activations = rows;
    return kernels;
  }();
  return table;
}

}  // namespace
}  // namespace tc::fused::recipe

namespace tc::testing {

TEST_CASE("an activation of the fused engine is a function of vectors and a row") {
  // A program of its own for each look: what was found of one is kept.
  const auto make = [] {
    std::mt19937 random(3);
    ProgramBuilder builder;
    const int64_t inner =
        builder.call("aten::square", {ProgramSpec::Ref{builder.linear(builder.input(), 4, 19)}});
    return randomPoint(builder.build(builder.linear(inner, 19, 3)), 33, 4, at::kDouble, random, 6);
  };
  CHECK(fusedObstacle(make()) != "");

  const fused::Isa before = fused::activeIsa();
  fused::forceKernels(fused::recipe::extended<float>(), fused::recipe::extended<double>());
  const Point point = make();
  const at::Tensor v = at::randn_like(point.params);
  REQUIRE(fusedObstacle(point) == "");
  const at::Tensor product = linearizeFusedOnce(point)->matvec(v, StopToken());
  fused::forceIsa(before);
  CHECK(relativeError(product, referenceVjp(point, referenceJvp(point, v))) < 1e-13);
  CHECK(fusedObstacle(make()) != "");
}

}  // namespace tc::testing
