#include "core/solvers/eigsh.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/tensor.h>

#include "core/operators/matrix.h"
#include "counts.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

namespace {

const StopToken kNever;

/// The eigenpairs of diag(spectrum), with residuals by products with the vectors.
struct Found {
  EigshResult result;
  at::Tensor residuals;

  Found(const at::Tensor& spectrum, const EigshOptions& options)
      : result(eigsh(*diagonalOperator(spectrum), options, kNever)) {
    const at::Tensor& q = result.eigenvectors;
    residuals = at::linalg_vector_norm(q * spectrum - result.eigenvalues.unsqueeze(1) * q, 2,
                                       at::IntArrayRef{1});
  }
};

double largest(const at::Tensor& x) { return x.abs().max().item<double>(); }

at::Tensor countingTo(int64_t n) { return at::arange(1, n + 1, at::kDouble); }

}  // namespace

TEST_CASE("eigsh with a sigma judges the eigenpairs of A") {
  const at::Tensor spectrum = countingTo(60) / 10;
  const at::Tensor top = at::tensor({5.8, 5.9, 6.0}, at::kDouble);
  const at::Tensor bottom = at::tensor({0.1, 0.2, 0.3}, at::kDouble);
  for (const double tolerance : {0.0, 1e-10}) {
    for (const double sigma : {6.51, 1e4, 1e8, 1e10, 1e15, 1e300, -1e4, -1e12}) {
      CAPTURE(sigma);
      CAPTURE(tolerance);
      EigshOptions options;
      options.k = 3;
      options.sigma = sigma;
      options.tolerance = tolerance;
      const Found found(spectrum, options);
      CHECK(found.result.converged);
      CHECK(largest(found.result.eigenvalues - (sigma > 0 ? top : bottom)) < 1e-9);
      CHECK((found.residuals / found.result.eigenvalues).max().item<double>() < 1.01e-10);
    }
  }
}

TEST_CASE("eigsh with a sigma too far for many unknowns says that it stagnates") {
  EigshOptions options;
  options.k = 3;
  options.sigma = 1e13;
  const Found far(countingTo(2100) / 10, options);
  CHECK_FALSE(far.result.converged);
  CHECK(far.result.reason == "stagnation");
  CHECK_FALSE(far.result.message.empty());
  CHECK(largest(far.residuals - far.result.residualNorms) < 1e-10);
}

TEST_CASE("eigsh with a block says that it converged") {
  for (const int64_t n : test::byCounts<std::vector<int64_t>>({100, 300}, {100, 300, 1000, 3000})) {
    for (const int64_t block : {2, 5, 10}) {
      CAPTURE(n);
      CAPTURE(block);
      EigshOptions options;
      options.k = 3;
      options.block = block;
      const Found found(countingTo(n), options);
      CHECK(found.result.converged);
      CHECK(found.result.iterations <= 2 * n + 200);
      CHECK(largest(found.result.eigenvalues - countingTo(n).slice(0, n - 3)) < 1e-11 * n);
      CHECK(largest(found.residuals) < 1e-13 * n);
    }
  }
}

TEST_CASE("eigsh with a block finds more copies than it has vectors") {
  const at::Tensor spectrum =
      at::cat({at::linspace(0, 1, 2995, at::kDouble), at::full({5}, 1.01, at::kDouble)});
  for (uint64_t seed = 0; seed < 3; ++seed) {
    CAPTURE(seed);
    EigshOptions options;
    options.k = 4;
    options.block = 2;
    options.seed = seed;
    const Found found(spectrum, options);
    CHECK(found.result.converged);
    CHECK(largest(found.result.eigenvalues - 1.01) < 1e-12);
    CHECK(largest(found.residuals) < 1e-12);
  }
}

TEST_CASE("eigsh of numbers at the ends of float64") {
  for (const double size : {1e-300, 1e-290, 1e-200, 1e200, 1e300}) {
    for (const int64_t n : {36, 60}) {
      // Down to zero for the small ones, whose tail is below the least number.
      const at::Tensor spectrum = at::pow(10, -at::arange(n, at::kDouble)) * size;
      for (const char* which : {"LM", "LA", "SA", "BE"}) {
        for (const int64_t block : {1, 3}) {
          CAPTURE(size);
          CAPTURE(n);
          CAPTURE(which);
          CAPTURE(block);
          EigshOptions options;
          options.k = 2;
          options.which = findWhich(which);
          options.block = block;
          const Found found(spectrum, options);
          CHECK(found.result.converged);
          const bool low = options.which == Which::kSmallest;
          const bool both = options.which == Which::kBothEnds;
          const double first = low || both ? 0 : 0.1;
          const double second = low ? 0 : 1;
          CHECK(found.result.eigenvalues[0].item<double>() / size ==
                doctest::Approx(first).epsilon(1e-12));
          CHECK(found.result.eigenvalues[1].item<double>() / size ==
                doctest::Approx(second).epsilon(1e-12));
        }
      }
    }
  }
}

TEST_CASE("eigsh of fewer products than pairs has as many pairs") {
  EigshOptions options;
  options.k = 3;
  options.maxIterations = 1;
  const EigshResult cut = eigsh(*diagonalOperator(countingTo(100)), options, kNever);
  CHECK_FALSE(cut.converged);
  CHECK(cut.eigenvalues.sizes() == at::IntArrayRef{1});
  CHECK((cut.eigenvectors.sizes() == at::IntArrayRef{1, 100}));
  CHECK(cut.residualNorms.sizes() == at::IntArrayRef{1});
}

TEST_CASE("eigsh of eigenvalues beyond the precision says so") {
  for (const int64_t n : {10, 60, 400}) {
    for (const int64_t block : {1, 3}) {
      CAPTURE(n);
      CAPTURE(block);
      EigshOptions options;
      options.k = 1;
      options.block = block;
      const at::Tensor ones = at::full({n, n}, 1e38F, at::kFloat);  // the eigenvalue is 1e38 n
      const EigshResult found = eigsh(*denseOperator(ones, true), options, kNever);
      CHECK_FALSE(found.converged);
      CHECK(found.reason == "nan");
      const EigshResult in64 = eigsh(*denseOperator(ones.to(at::kDouble), true), options, kNever);
      CHECK(in64.converged);
      CHECK(in64.eigenvalues[0].item<double>() == doctest::Approx(1e38 * double(n)).epsilon(1e-6));
    }
  }
}
