#include <cmath>
#include <limits>

#include "code_of.h"
#include "core/operators/combine.h"
#include "core/operators/matrix.h"
#include "core/runtime/error.h"
#include "core/runtime/random.h"
#include "core/solvers/cg.h"
#include "core/solvers/eigsh.h"
#include "core/solvers/estimators.h"
#include "core/solvers/minres.h"
#include "core/solvers/scale.h"
#include "core/solvers/spectral_density.h"
#include "core/solvers/wanted.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

const StopToken kNever;

at::Tensor normal(at::IntArrayRef shape, uint64_t seed, at::ScalarType dtype = at::kDouble) {
  return Random(seed).normal(shape, 0, 1, dtype);
}

/// A symmetric matrix with these eigenvalues.
at::Tensor withSpectrum(const at::Tensor& eigenvalues, uint64_t seed) {
  const int64_t n = eigenvalues.numel();
  const at::Tensor q = std::get<0>(at::linalg_qr(normal({n, n}, seed)));
  return q.mm(at::diag(eigenvalues)).mm(q.t());
}

at::Tensor definite(int64_t n) { return withSpectrum(at::linspace(0.5, 50, n, at::kDouble), 1); }

at::Tensor indefinite(int64_t n) { return withSpectrum(at::linspace(-20, 31, n, at::kDouble), 2); }

SolverOptions tight() {
  SolverOptions options;
  options.tolerance = 1e-11;
  return options;
}

using Solver = SolverResult (*)(const LinearOperator&, const at::Tensor&, const SolverOptions&,
                                const StopToken&);

}  // namespace

TEST_CASE("cg and minres solve one and several right-hand sides") {
  const at::Tensor a = definite(40);
  const OperatorPtr op = denseOperator(a, true);
  const at::Tensor b = normal({3, 40}, 3);
  const at::Tensor exact = at::linalg_solve(a, b.t()).t();
  for (const Solver solver : {Solver(cg), Solver(minres)}) {
    const SolverResult many = solver(*op, b, tight(), kNever);
    CHECK(difference(many.x, exact) < 1e-9);
    REQUIRE(many.records.size() == 3);
    for (int64_t i = 0; i < 3; ++i) {
      const auto& record = many.records[static_cast<size_t>(i)];
      CHECK(record.converged);
      CHECK(record.reason == "converged");
      CHECK(record.iterations <= 60);
      CHECK(record.residualNorm ==
            doctest::Approx((b[i] - a.mv(many.x[i])).norm().item<double>()).epsilon(1e-6));
      CHECK(record.residualNorm <= 1e-11 * b[i].norm().item<double>());
    }
    const SolverResult one = solver(*op, b[1], tight(), kNever);
    CHECK(difference(one.x, exact[1]) < 1e-9);
  }
}

TEST_CASE("minres solves an indefinite system, where cg reports it and suggests minres") {
  const at::Tensor a = indefinite(30);
  const OperatorPtr op = denseOperator(a, true);
  const at::Tensor b = normal({30}, 3);
  const SolverResult solved = minres(*op, b, tight(), kNever);
  CHECK(solved.records[0].converged);
  CHECK(difference(solved.x, at::linalg_solve(a, b)) < 1e-8);

  const SolverResult refused = cg(*op, b, tight(), kNever);
  CHECK_FALSE(refused.records[0].converged);
  CHECK(refused.records[0].reason == "indefinite");
  CHECK(refused.records[0].message.find("minres") != std::string::npos);
}

TEST_CASE("a preconditioner changes the way, not the solution") {
  const at::Tensor scale = at::logspace(0, 3, 40, 10, at::kDouble);
  const at::Tensor a = at::diag(scale) + definite(40) * 0.01;
  const OperatorPtr op = denseOperator(a, true);
  const at::Tensor b = normal({40}, 3);
  SolverOptions options = tight();
  options.preconditioner = diagonalOperator(1 / scale);
  for (const Solver solver : {Solver(cg), Solver(minres)}) {
    const SolverResult plain = solver(*op, b, tight(), kNever);
    const SolverResult preconditioned = solver(*op, b, options, kNever);
    CHECK(preconditioned.records[0].converged);
    CHECK(difference(preconditioned.x, at::linalg_solve(a, b)) < 1e-9);
    CHECK(preconditioned.records[0].iterations < plain.records[0].iterations);
  }
  options.preconditioner = diagonalOperator(-scale);
  for (const Solver solver : {Solver(cg), Solver(minres)})
    CHECK(solver(*op, b, options, kNever).records[0].reason == "preconditioner");
}

TEST_CASE("solvers start from x0 and leave it alone") {
  const at::Tensor a = definite(20);
  const OperatorPtr op = denseOperator(a, true);
  const at::Tensor b = normal({20}, 3);
  SolverOptions options = tight();
  for (const Solver solver : {Solver(cg), Solver(minres)}) {
    options.x0 = normal({20}, 4);
    const at::Tensor before = options.x0.clone();
    CHECK(difference(solver(*op, b, options, kNever).x, at::linalg_solve(a, b)) < 1e-9);
    CHECK(at::equal(options.x0, before));
    options.x0 = at::linalg_solve(a, b);
    CHECK(solver(*op, b, options, kNever).records[0].iterations <= 1);
  }
}

TEST_CASE("non-convergence is reported with the best x there is") {
  const OperatorPtr op = denseOperator(definite(40), true);
  const at::Tensor b = normal({40}, 3);
  SolverOptions options = tight();
  options.maxIterations = 5;
  for (const Solver solver : {Solver(cg), Solver(minres)}) {
    const SolverResult result = solver(*op, b, options, kNever);
    CHECK(result.records[0].reason == "maxIterations");
    CHECK(result.records[0].iterations == 5);
    CHECK_FALSE(result.records[0].converged);
    const double residual = (b - op->matvec(result.x, kNever)).norm().item<double>();
    CHECK(result.records[0].residualNorm == doctest::Approx(residual));
    CHECK(residual < b.norm().item<double>());
  }
}

TEST_CASE("a tolerance out of float32's reach ends as stagnation, not as convergence") {
  const at::Tensor a = withSpectrum(at::logspace(-3, 3, 40, 10, at::kDouble), 1).to(at::kFloat);
  const OperatorPtr op = denseOperator((a + a.t()) / 2, true);
  SolverOptions options;
  options.tolerance = 1e-12;
  options.maxIterations = 100'000;
  for (const Solver solver : {Solver(cg), Solver(minres)}) {
    const SolverRecord record =
        solver(*op, normal({40}, 3, at::kFloat), options, kNever).records[0];
    CHECK_FALSE(record.converged);
    CHECK(record.iterations < 100'000);
    CHECK(record.reason != "maxIterations");
  }
}

TEST_CASE("minres finds the least-squares residual of a singular system") {
  const at::Tensor a = at::diag(at::tensor({3.0, 2.0, 1.0, 0.0}, at::kDouble));
  const at::Tensor b = at::ones({4}, at::kDouble);
  const SolverRecord record = minres(*denseOperator(a, true), b, tight(), kNever).records[0];
  CHECK_FALSE(record.converged);
  CHECK(record.reason == "stagnation");
  CHECK(record.residualNorm == doctest::Approx(1));
}

TEST_CASE("NaN stops every solver, and it says so") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  at::Tensor broken = definite(10);
  broken[3][4] = nan;
  const OperatorPtr op = denseOperator(broken, true);
  const at::Tensor b = normal({10}, 3);
  for (const Solver solver : {Solver(cg), Solver(minres)}) {
    CHECK(solver(*op, b, {}, kNever).records[0].reason == "nan");
    CHECK(solver(*denseOperator(definite(10), true), b * nan, {}, kNever).records[0].reason ==
          "nan");
  }
  EigshOptions options;
  options.k = 2;
  const EigshResult result = eigsh(*op, options, kNever);
  CHECK(result.reason == "nan");
  CHECK_FALSE(result.converged);
  CHECK(std::isnan(trace(*op, TraceMethod::kHutchinson, 4, 0, kNever).estimate));
  const SpectralDensity density = spectralDensity(*op, {}, kNever);
  CHECK_FALSE(density.finite);
  CHECK(density.density.isnan().all().item<bool>());
}

TEST_CASE("zero right-hand sides take no iteration") {
  const OperatorPtr op = denseOperator(definite(10), true);
  for (const Solver solver : {Solver(cg), Solver(minres)}) {
    const SolverResult result = solver(*op, at::zeros({10}, at::kDouble), {}, kNever);
    CHECK(result.records[0].converged);
    CHECK(result.records[0].iterations == 0);
    CHECK(result.x.abs().sum().item<double>() == 0);
  }
}

TEST_CASE("onIteration sees every iteration and can end the solver; a stop aborts it") {
  const OperatorPtr op = denseOperator(definite(40), true);
  const at::Tensor b = normal({2, 40}, 3);
  for (const Solver solver : {Solver(cg), Solver(minres)}) {
    SolverOptions options = tight();
    std::vector<int64_t> seen(2);
    options.onIteration = [&](int64_t index, int64_t iteration, double) {
      CHECK(iteration == ++seen[static_cast<size_t>(index)]);
      return true;
    };
    const SolverResult result = solver(*op, b, options, kNever);
    CHECK(seen[0] == result.records[0].iterations);
    CHECK(seen[1] == result.records[1].iterations);

    options.onIteration = [](int64_t, int64_t iteration, double) { return iteration < 3; };
    const SolverResult ended = solver(*op, b, options, kNever);
    CHECK(ended.records[0].reason == "stopped");
    CHECK(ended.records[0].iterations == 3);

    const StopToken stop;
    options.onIteration = [&](int64_t, int64_t iteration, double) {
      if (iteration == 2) stop.request();
      return true;
    };
    CHECK(codeOf([&] { solver(*op, b, options, stop); }) == "ABORTED");
  }
}

TEST_CASE("eigsh finds both ends of the spectrum") {
  for (const int64_t n : {5, 24, 120}) {
    const at::Tensor a = indefinite(n);
    const OperatorPtr op = denseOperator(a, true);
    const at::Tensor all = std::get<0>(at::linalg_eigh(a));
    for (const char* which : {"LA", "SA", "LM"}) {
      CAPTURE(n);
      CAPTURE(which);
      EigshOptions options;
      options.k = 4;
      options.which = findWhich(which);
      const EigshResult result = eigsh(*op, options, kNever);
      at::Tensor expected =
          options.which == Which::kLargest ? all.narrow(0, n - 4, 4) : all.narrow(0, 0, 4);
      if (options.which == Which::kLargestMagnitude)
        expected =
            std::get<0>(all.index_select(0, all.abs().argsort(0, true).narrow(0, 0, 4)).sort());
      CHECK(result.converged);
      CHECK(difference(result.eigenvalues, expected) < 1e-12);
      const at::Tensor& q = result.eigenvectors;
      CHECK(difference(q.mm(q.t()), at::eye(4, at::kDouble)) < 1e-12);
      CHECK(difference(q.mm(a), result.eigenvalues.unsqueeze(1) * q) < 1e-10);
    }
  }
}

TEST_CASE("eigsh copes with repeated and zero eigenvalues, and with all of them") {
  const at::Tensor spectrum = at::tensor({0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 7.0, 7.0}, at::kDouble);
  const OperatorPtr op = denseOperator(withSpectrum(spectrum, 3), true);
  EigshOptions options;
  options.k = 8;
  CHECK((eigsh(*op, options, kNever).eigenvalues - spectrum).abs().max().item<double>() < 1e-12);
  options.k = 3;
  options.which = Which::kLargest;
  const EigshResult top = eigsh(*op, options, kNever);
  CHECK(difference(top.eigenvalues, at::tensor({2.0, 7.0, 7.0}, at::kDouble)) < 1e-12);

  const EigshResult zero = eigsh(*diagonalOperator(at::zeros({30}, at::kDouble)), options, kNever);
  CHECK(zero.converged);
  CHECK(zero.eigenvalues.abs().max().item<double>() == 0);
}

TEST_CASE("eigsh of the smallest magnitudes, in float32, and cut short") {
  const at::Tensor a = withSpectrum(at::linspace(1, 9, 30, at::kDouble), 4);
  EigshOptions options;
  options.k = 2;
  options.which = Which::kSmallestMagnitude;
  const EigshResult small = eigsh(*denseOperator(a, true), options, kNever);
  CHECK(small.eigenvalues[0].item<double>() == doctest::Approx(1).epsilon(1e-11));

  options.which = Which::kLargest;
  const at::Tensor single = a.to(at::kFloat);
  const EigshResult rounded =
      eigsh(*denseOperator((single + single.t()) / 2, true), options, kNever);
  CHECK(rounded.converged);
  CHECK((rounded.eigenvalues.scalar_type() == at::kFloat));
  CHECK(rounded.eigenvalues[1].item<double>() == doctest::Approx(9).epsilon(1e-5));

  options.maxIterations = 6;
  const EigshResult cut = eigsh(*denseOperator(indefinite(100), true), options, kNever);
  CHECK_FALSE(cut.converged);
  CHECK(cut.reason == "maxIterations");
  CHECK(cut.iterations == 6);
  CHECK(cut.eigenvalues.numel() == 2);
}

TEST_CASE("trace estimates") {
  // A fast-decaying spectrum, where Hutch++ has the advantage.
  const at::Tensor spectrum = at::logspace(2, -4, 60, 10, at::kDouble);
  const OperatorPtr op = denseOperator(withSpectrum(spectrum, 5), true);
  const double exact = spectrum.sum().item<double>();
  const TraceEstimate hutchinson = trace(*op, TraceMethod::kHutchinson, 300, 1, kNever);
  CHECK(hutchinson.products == 300);
  CHECK(std::abs(hutchinson.estimate - exact) < 5 * hutchinson.standardError);
  CHECK(hutchinson.standardError > 0);
  const TraceEstimate better = trace(*op, TraceMethod::kHutchPlusPlus, 60, 1, kNever);
  CHECK(better.products == 60);
  CHECK(std::abs(better.estimate - exact) < std::max(5 * better.standardError, 1e-10));
  CHECK(better.standardError < hutchinson.standardError);
  CHECK(trace(*op, TraceMethod::kHutchPlusPlus, 600, 1, kNever).estimate ==
        doctest::Approx(exact).epsilon(1e-12));
  // Entries ±1 make the estimate exact for a diagonal matrix.
  const TraceEstimate diagonal =
      trace(*diagonalOperator(spectrum), TraceMethod::kHutchinson, 3, 1, kNever);
  CHECK(diagonal.estimate == doctest::Approx(exact).epsilon(1e-12));
  CHECK(trace(*op, TraceMethod::kHutchinson, 5, 7, kNever).estimate ==
        trace(*op, TraceMethod::kHutchinson, 5, 7, kNever).estimate);
}

TEST_CASE("stochastic diagonal") {
  const at::Tensor a = definite(30);
  const DiagonalEstimate estimate = estimateDiagonal(*denseOperator(a, true), 2000, 1, kNever);
  const at::Tensor deviations = (estimate.diagonal - a.diagonal()).abs() / estimate.standardError;
  CHECK(deviations.max().item<double>() < 5);
  CHECK((estimate.standardError / a.diagonal()).max().item<double>() < 0.1);
}

TEST_CASE("spectral density") {
  const at::Tensor a = indefinite(50);
  const at::Tensor eigenvalues = std::get<0>(at::linalg_eigh(a));
  SpectralDensityOptions options;
  options.probes = 200;
  options.steps = 50;
  options.sigma = 2;
  options.margin = 0.3;
  const SpectralDensity result = spectralDensity(*denseOperator(a, true), options, kNever);
  CHECK(at::trapezoid(result.density, result.grid).item<double>() ==
        doctest::Approx(1).epsilon(1e-3));
  CHECK(difference(result.weights.sum(1), at::ones({200}, at::kDouble)) < 1e-10);
  CHECK((result.weights * result.nodes).sum(1).mean().item<double>() ==
        doctest::Approx(eigenvalues.mean().item<double>()).epsilon(0.05));
  const at::Tensor distance = (result.grid.unsqueeze(1) - eigenvalues.unsqueeze(0)) / options.sigma;
  const at::Tensor exact =
      (distance.square() * -0.5).exp().mean(1) / (options.sigma * 2.50662827463);
  CHECK(difference(result.density, exact) < 0.1);

  // An operator with three eigenvalues ends each probe after three steps.
  const at::Tensor few = at::tensor({1.0, 1.0, 2.0, 4.0, 4.0, 4.0}, at::kDouble);
  options.steps = 6;
  const SpectralDensity exactNodes =
      spectralDensity(*denseOperator(withSpectrum(few, 2), true), options, kNever);
  CHECK(exactNodes.products <= 200 * 5);
  CHECK(exactNodes.nodes.min().item<double>() == doctest::Approx(1));
  CHECK(exactNodes.nodes.max().item<double>() == doctest::Approx(4));
}

TEST_CASE("a mean of values at the ends of float64") {
  const double infinite = std::numeric_limits<double>::infinity();
  for (const auto& values : {std::vector{infinite, infinite}, {1.0, infinite}, {infinite, -2.0}}) {
    CHECK(summarize(values).estimate == infinite);
    CHECK(summarize(values).standardError == infinite);
  }
  CHECK(std::isnan(summarize({infinite, -infinite}).estimate));
  const TraceEstimate ends = summarize({1e308, -1e308});
  CHECK(ends.estimate == 0);
  CHECK(ends.standardError == doctest::Approx(1e308));
}

TEST_CASE("norms and scales of numbers at the ends of the precision") {
  for (const double size : {1e-300, 1e-200, 1e-5, 1.0, 1e200, 1e300}) {
    const at::Tensor x = at::tensor({3.0, -4.0, 0.0}, at::kDouble) * size;
    CHECK(normOf(x) == doctest::Approx(5 * size).epsilon(1e-14));
    const int exponent = exponentOf(x);
    CHECK(at::equal(scaledBy(scaledBy(x, -exponent), exponent), x));
    CHECK(largestOf(scaledBy(x, -exponent)) < 1e6);
  }
  for (const double size : {1e-40, 1e-30, 1e30}) {
    const at::Tensor x = at::tensor({3.0, -4.0}, at::kDouble).mul(size).to(at::kFloat);
    CHECK(normOf(x) == doctest::Approx(5 * size).epsilon(1e-3));
    CHECK(dotOf(x, x) == doctest::Approx(25 * size * size).epsilon(1e-3));
  }
  CHECK(exponentOf(at::zeros({3}, at::kDouble)) == 0);
  CHECK(std::isnan(normOf(at::tensor({1.0, std::nan("")}, at::kDouble))));
  CHECK(std::isinf(normOf(at::tensor({1.0, HUGE_VAL}, at::kDouble))));
}

TEST_CASE("cg cut short has the iterate it reached, and its energy falls with every step") {
  const at::Tensor spectrum = at::logspace(0, -7, 60, 10, at::kDouble);
  const at::Tensor b = at::ones({60}, at::kDouble);
  double before = 0;
  for (int64_t k = 0; k <= 40; ++k) {
    SolverOptions options = tight();
    options.maxIterations = k;
    const SolverResult result = cg(*diagonalOperator(spectrum), b, options, kNever);
    CHECK(result.records[0].iterations == k);
    CHECK(result.records[0].reason == "maxIterations");
    CHECK(result.records[0].residualNorm ==
          doctest::Approx((b - spectrum * result.x).norm().item<double>()));
    const double energy = (result.x * (spectrum * result.x / 2 - b)).sum().item<double>();
    CHECK((k == 0 ? energy == 0 : energy < before));
    before = energy;
  }
}

TEST_CASE("the rivals of what is wanted") {
  const at::Tensor values = at::tensor({-9.0, -3.0, 1.0, 2.0, 5.0}, at::kDouble);
  const auto rivals = [&](Which which, int64_t k) {
    return rivalsOf(values, wantedFirst(values, which), k, which);
  };
  REQUIRE(rivals(Which::kLargest, 2).size() == 1);
  CHECK(rivals(Which::kLargest, 2)[0].position == 2);
  CHECK(rivals(Which::kLargest, 2)[0].distance == 1);
  CHECK(rivals(Which::kSmallest, 1)[0].position == 1);
  CHECK(rivals(Which::kSmallest, 1)[0].distance == 6);
  const auto magnitude = rivals(Which::kLargestMagnitude, 2);  // −9 and 5 are in
  REQUIRE(magnitude.size() == 2);
  CHECK(magnitude[0].distance == 3);
  CHECK(magnitude[1].distance == 2);
  const auto both = rivals(Which::kBothEnds, 3);  // 5, −9, 2
  REQUIRE(both.size() == 2);
  CHECK(both[0].distance == 1);
  CHECK(both[1].distance == 6);
  CHECK(rivals(Which::kLargest, 5).empty());
}

TEST_CASE("eigsh finds every copy beyond its basis") {
  const at::Tensor spectrum =
      at::cat({at::full({5}, 10.0, at::kDouble), at::linspace(0, 9, 2995, at::kDouble)});
  for (const char* which : {"LM", "LA"}) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      CAPTURE(which);
      CAPTURE(seed);
      EigshOptions options;
      options.k = 4;
      options.seed = seed;
      options.which = findWhich(which);
      const EigshResult result = eigsh(*diagonalOperator(spectrum), options, kNever);
      CHECK(result.converged);
      CHECK((result.eigenvalues - 10).abs().max().item<double>() < 1e-12);
      CHECK(result.residualNorms.max().item<double>() < 1e-12);
    }
  }
  EigshOptions options;
  options.which = Which::kSmallestMagnitude;
  CHECK(codeOf([&] { eigsh(*diagonalOperator(spectrum), options, kNever); }) ==
        "ERR_UNSUPPORTED_OP");
}

TEST_CASE("an operator that is seen not to be symmetric is refused") {
  const at::Tensor b = at::ones({20}, at::kDouble);
  for (const double size : {1e-200, 1.0, 1e200}) {
    const OperatorPtr skew = denseOperator(normal({20, 20}, 3) * size, false);
    CHECK(codeOf([&] { cg(*skew, b, {}, kNever); }) == "ERR_INVALID_ARGUMENT");
    CHECK(codeOf([&] { minres(*skew, b, {}, kNever); }) == "ERR_INVALID_ARGUMENT");
    CHECK(codeOf([&] { eigsh(*skew, {}, kNever); }) == "ERR_INVALID_ARGUMENT");
    CHECK(codeOf([&] { spectralDensity(*skew, {}, kNever); }) == "ERR_INVALID_ARGUMENT");
    CHECK(cg(*denseOperator(definite(20) * size, false), b, {}, kNever).records[0].converged);
  }
}

TEST_CASE("wrong arguments are refused with a code") {
  const OperatorPtr wide = denseOperator(at::ones({2, 3}, at::kDouble), false);
  const OperatorPtr op = denseOperator(definite(4), true);
  const at::Tensor b = at::ones({4}, at::kDouble);
  for (const Solver solver : {Solver(cg), Solver(minres)}) {
    CHECK(codeOf([&] { solver(*wide, b, {}, kNever); }) == "ERR_SHAPE_MISMATCH");
    CHECK(codeOf([&] { solver(*op, at::ones({5}, at::kDouble), {}, kNever); }) ==
          "ERR_SHAPE_MISMATCH");
    CHECK(codeOf([&] { solver(*op, b.to(at::kFloat), {}, kNever); }) == "ERR_DTYPE_MISMATCH");
    SolverOptions options;
    options.x0 = at::ones({3}, at::kDouble);
    CHECK(codeOf([&] { solver(*op, b, options, kNever); }) == "ERR_SHAPE_MISMATCH");
    options = {};
    options.preconditioner = wide;
    CHECK(codeOf([&] { solver(*op, b, options, kNever); }) == "ERR_SHAPE_MISMATCH");
    options = {};
    options.tolerance = std::nan("");
    CHECK(codeOf([&] { solver(*op, b, options, kNever); }) == "ERR_INVALID_ARGUMENT");
  }
  EigshOptions options;
  options.k = 5;
  CHECK(codeOf([&] { eigsh(*op, options, kNever); }) == "ERR_INVALID_ARGUMENT");
  CHECK(codeOf([&] { eigsh(*wide, options, kNever); }) == "ERR_SHAPE_MISMATCH");
  CHECK(codeOf([&] { findWhich("EB"); }) == "ERR_INVALID_ARGUMENT");
  CHECK(codeOf([&] { trace(*wide, TraceMethod::kHutchinson, 3, 0, kNever); }) ==
        "ERR_SHAPE_MISMATCH");
  CHECK(codeOf([&] { trace(*op, TraceMethod::kHutchinson, 0, 0, kNever); }) ==
        "ERR_INVALID_ARGUMENT");
}
