#include "core/solvers/logdet.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_solve_triangular.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/profiler/stage.h"
#include "core/program/point.h"
#include "core/runtime/error.h"
#include "core/solvers/scale.h"
#include "core/solvers/spectral_density.h"
#include "core/solvers/symmetry.h"

namespace tc {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw Error(
      "ERR_INVALID_ARGUMENT",
      "logdet needs a positive definite operator, and this one is not: " + why + "; damp it");
}

TraceEstimate notANumber(int64_t products) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  return {nan, nan, products};
}

/// Columns that are eliminated, and rows that are updated, between two looks at the stop token.
constexpr int64_t kBlock = 256;

/// Σ ln of the eigenvalues of a symmetric matrix, of which the lower triangle is used up: by
/// Cholesky's factorization, block by block.
double logdetInPlace(const at::Tensor& matrix, const StopToken& stop) {
  const int64_t n = matrix.size(0);
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    stop.poll();
    const int64_t width = std::min(kBlock, n - begin);
    const auto [factor, info] =
        at::linalg_cholesky_ex(matrix.narrow(0, begin, width).narrow(1, begin, width));
    if (info.item<int64_t>() != 0) refuse("a pivot of its factorization is not above zero");
    sum += 2 * factor.diagonal().log().sum().item<double>();
    const int64_t end = begin + width;
    if (end == n) break;
    const at::Tensor below = matrix.narrow(0, end, n - end);
    const at::Tensor panel =
        at::linalg_solve_triangular(factor, below.narrow(1, begin, width).t(), /*upper=*/false).t();
    forEachChunk(n - end, kBlock, stop, [&](int64_t first, int64_t last) {
      below.narrow(0, first, last - first)
          .narrow(1, end, last)
          .sub_(at::matmul(panel.narrow(0, first, last - first), panel.narrow(0, 0, last).t()));
    });
  }
  return sum;
}

TraceEstimate exactly(const LinearOperator& a, const StopToken& stop) {
  const at::Tensor matrix = a.toDense(stop).to(at::kCPU, at::kDouble);
  if (!std::isfinite(largestOf(matrix.flatten()))) return notANumber(a.rows());
  return {logdetInPlace(matrix, stop), 0, a.rows()};
}

TraceEstimate byQuadrature(const LinearOperator& a, const LogdetOptions& options,
                           const StopToken& stop) {
  SpectralDensityOptions how;
  how.probes = options.probes;
  how.steps = options.steps;
  how.gridPoints = 2;
  how.seed = options.seed;
  const SpectralDensity density = spectralDensity(a, how, stop);
  if (!density.finite) return notANumber(density.products);
  std::vector<double> values;
  for (int64_t probe = 0; probe < options.probes; ++probe) {
    double sum = 0;
    for (int64_t i = 0; i < density.nodes.size(1); ++i) {
      const double weight = density.weights[probe][i].item<double>();
      if (weight == 0) continue;  // the probe ended before
      const double node = density.nodes[probe][i].item<double>();
      if (!(node > 0)) refuse("it has an eigenvalue near " + std::to_string(node));
      sum += weight * std::log(node);
    }
    values.push_back(static_cast<double>(a.rows()) * sum);
  }
  TraceEstimate result = summarize(values);
  result.products = density.products;
  return result;
}

}  // namespace

TraceEstimate logdet(const LinearOperator& a, const LogdetOptions& options, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::logdet");
  requireSquare(a, "logdet");
  if (options.probes < 1 || options.steps < 1)
    throw Error("ERR_INVALID_ARGUMENT", "probes and steps should be at least 1");
  if (a.rows() == 0) return {0, 0, 0};
  requireSymmetric(a, "logdet", stop);
  return options.exact ? exactly(a, stop) : byQuadrature(a, options, stop);
}

namespace {

Record run(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  const std::string method = given.text("method", "slq");
  if (method != "slq" && method != "exact")
    throw Error("ERR_INVALID_ARGUMENT", "method should be 'slq' or 'exact', got '" + method + "'");
  LogdetOptions options;
  options.exact = method == "exact";
  options.probes = given.integer("probes", options.probes);
  options.steps = given.integer("steps", options.steps);
  options.seed = given.seed("seed");
  return recordOf(logdet(a, options, stop));
}

const Rows<SolverMethod> kRows(solverMethods(), {{"logdet", run}});

}  // namespace
}  // namespace tc
