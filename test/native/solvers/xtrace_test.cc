#include "core/solvers/xtrace.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "core/operators/matrix.h"
#include "core/runtime/random.h"
#include "counts.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

namespace {

const StopToken kNever;

at::Tensor normal(at::IntArrayRef shape, uint64_t seed) {
  return Random(seed).normal(shape, 0, 1, at::kDouble);
}

/// Of full rank, of rank 2, and of which few elements are not 0.
std::vector<at::Tensor> matrices(int64_t n) {
  at::Tensor sparse = at::zeros({n, n}, at::kDouble);
  sparse.diagonal().narrow(0, 0, 3).copy_(at::tensor({1.0, 2.0, 3.0}, at::kDouble));
  return {normal({n, n}, 1) + 3 * at::eye(n, at::kDouble), normal({n, 2}, 2).mm(normal({2, n}, 3)),
          sparse};
}

}  // namespace

TEST_CASE("xdiag and xtrace are exact wherever their standard errors are 0") {
  for (const int64_t n : {3, 4, 6, 16, 40}) {
    for (const int64_t samples : {4, 8, 30}) {
      for (const at::Tensor& a : matrices(n)) {
        const OperatorPtr op = denseOperator(a, false);
        int64_t wrong = 0;
        for (uint64_t seed = 0; seed < test::byCounts(30u, 300u); ++seed) {
          const DiagonalEstimate found = xdiag(*op, samples, seed, kNever);
          const at::Tensor errors = (found.diagonal - a.diagonal()).abs();
          wrong += ((found.standardError < 1e-12) & (errors > 1e-10)).sum().item<int64_t>();
          const TraceEstimate trace = xtrace(*op, samples, seed, kNever);
          const double error = std::abs(trace.estimate - a.trace().item<double>());
          if (trace.standardError < 1e-12 && error > 1e-10) ++wrong;
        }
        CAPTURE(n);
        CAPTURE(samples);
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("xdiag and xtrace are exact for a rank below half of the samples, and for 0") {
  const at::Tensor low = normal({40, 5}, 2).mm(normal({5, 40}, 3));
  for (const at::Tensor& a : {low, low.mul(0)}) {
    const OperatorPtr op = denseOperator(a, false);
    const double size = a.norm().item<double>();
    for (const int64_t samples : {12, 30, 60}) {
      const DiagonalEstimate found = xdiag(*op, samples, 1, kNever);
      CHECK((found.diagonal - a.diagonal()).abs().max().item<double>() <= 1e-12 * size);
      CHECK(found.standardError.max().item<double>() <= 1e-12 * size);
      const TraceEstimate trace = xtrace(*op, samples, 1, kNever);
      CHECK(std::abs(trace.estimate - a.trace().item<double>()) <= 1e-12 * size);
      CHECK(trace.standardError <= 1e-12 * size);
      CHECK(trace.products == samples);
    }
  }
}

TEST_CASE("errors of xdiag are as large as its standard errors say") {
  const at::Tensor a = normal({40, 40}, 4);
  const OperatorPtr op = denseOperator(a, false);
  const int64_t trials = 300;
  at::Tensor mean = at::zeros({40}, at::kDouble);
  double squares = 0;
  double expected = 0;
  for (int64_t seed = 0; seed < trials; ++seed) {
    const DiagonalEstimate found = xdiag(*op, 20, static_cast<uint64_t>(seed), kNever);
    const at::Tensor errors = found.diagonal - a.diagonal();
    mean += errors / trials;
    squares += errors.square().sum().item<double>();
    expected += found.standardError.square().sum().item<double>();
  }
  CHECK(std::sqrt(squares / expected) == doctest::Approx(1).epsilon(0.2));
  const double each = std::sqrt(squares / (40 * trials));
  CHECK(mean.abs().max().item<double>() < 4.5 * each / std::sqrt(static_cast<double>(trials)));
}

TEST_CASE("xdiag and xtrace follow the scale of the matrix to the ends of the precision") {
  const at::Tensor a = normal({20, 20}, 5);
  const auto ratio = [](const at::Tensor& x, double scale) { return x.to(at::kDouble) / scale; };
  const auto check = [&](double scale, at::ScalarType dtype, double tolerance) {
    CAPTURE(scale);
    const OperatorPtr unit = denseOperator(a.to(dtype), false);
    const OperatorPtr scaled = denseOperator((a * scale).to(dtype), false);
    const DiagonalEstimate expected = xdiag(*unit, 16, 1, kNever);
    const DiagonalEstimate found = xdiag(*scaled, 16, 1, kNever);
    CHECK(at::allclose(ratio(found.diagonal, scale), ratio(expected.diagonal, 1), tolerance,
                       tolerance));
    CHECK(at::allclose(ratio(found.standardError, scale), ratio(expected.standardError, 1),
                       tolerance, tolerance));
    const TraceEstimate all = xtrace(*unit, 16, 1, kNever);
    const TraceEstimate large = xtrace(*scaled, 16, 1, kNever);
    CHECK(large.estimate / scale == doctest::Approx(all.estimate).epsilon(tolerance));
    CHECK(large.standardError / scale == doctest::Approx(all.standardError).epsilon(tolerance));
  };
  for (const double scale : {1e-290, 1e-170, 1e170, 1e290}) check(scale, at::kDouble, 1e-9);
  for (const double scale : {1e-30, 1e-25, 1e25, 1e30}) check(scale, at::kFloat, 2e-3);
}
