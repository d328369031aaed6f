#include "core/solvers/estimators.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/hypot.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/operators/factorizations.h"
#include "core/profiler/stage.h"
#include "core/runtime/bytes.h"
#include "core/runtime/device.h"
#include "core/runtime/error.h"
#include "core/solvers/method.h"
#include "core/solvers/probes.h"
#include "core/solvers/scale.h"

namespace tc {
namespace {

void checkArguments(const LinearOperator& a, int64_t samples, const char* purpose) {
  requireSquare(a, purpose);
  if (samples < 1) throw Error("ERR_INVALID_ARGUMENT", "samples should be at least 1");
}

TraceEstimate hutchinson(const LinearOperator& a, int64_t samples, Probes& probes,
                         const StopToken& stop) {
  std::vector<double> values;
  for (int64_t i = 0; i < samples; ++i) {
    const at::Tensor z = probes.rademacher();
    values.push_back(dotOf(z, a.matvec(z, stop)));
  }
  return summarize(values);
}

TraceEstimate hutchPlusPlus(const LinearOperator& a, int64_t samples, Probes& probes,
                            const StopToken& stop) {
  if (a.rows() == 0) return {0, 0, 0};  // there is nothing to sketch
  const int64_t sketch = std::min(samples / 3, a.rows());
  // Images and basis, each once more in the factorization.
  const int64_t bytes = countOf(4, bytesOf(sketch, a.rows(), a.options()));
  requireMemory(a.options().device(), bytes, "the sketch");
  std::vector<at::Tensor> sketched;
  for (int64_t i = 0; i < sketch; ++i) {
    const at::Tensor image = a.matvec(probes.rademacher(), stop);
    if (!std::isfinite(largestOf(image))) {
      const double nan = std::numeric_limits<double>::quiet_NaN();
      return {nan, nan, i + 1};
    }
    sketched.push_back(scaledBy(image, -exponentOf(image)));
  }
  // Orthonormal rows that span the sketched range.
  const at::Tensor q = reducedQr(at::stack(sketched, 1), stop).first.t().contiguous();
  double exact = 0;
  for (int64_t i = 0; i < q.size(0); ++i) exact += dotOf(q[i], a.matvec(q[i], stop));
  if (sketch == a.rows()) return {exact, 0, 2 * sketch};  // Q is the whole space

  std::vector<double> values;
  for (int64_t i = 2 * sketch; i < samples; ++i) {
    at::Tensor z = probes.rademacher();
    z = z - at::matmul(at::matmul(q, z), q);
    values.push_back(dotOf(z, a.matvec(z, stop)));
  }
  TraceEstimate rest = summarize(values);
  rest.estimate += exact;
  rest.products += 2 * sketch;
  return rest;
}

}  // namespace

TraceEstimate summarize(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double mean = values.front();  // exact where all are the same
  for (const double value : values) mean += (value - values.front()) / n;
  if (!std::isfinite(mean)) {  // of what is infinite, or on both ends of float64
    mean = 0;
    for (const double value : values) mean += value / n;
    if (!std::isfinite(mean)) return {mean, std::abs(mean), static_cast<int64_t>(values.size())};
  }
  double spread = 0;  // the root of the sum of squares, which stays within float64
  for (const double value : values) spread = std::hypot(spread, value - mean);
  const double error =
      n > 1 ? spread / std::sqrt(n * (n - 1)) : std::numeric_limits<double>::quiet_NaN();
  return {mean, error, static_cast<int64_t>(values.size())};
}

TraceEstimate trace(const LinearOperator& a, TraceMethod method, int64_t samples, uint64_t seed,
                    const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::trace");
  checkArguments(a, samples, "trace");
  Probes probes(a, seed);
  if (a.rows() == 0) return {0, 0, 0};
  // Hutch++ spends its products on three things.
  return method == TraceMethod::kHutchPlusPlus && samples >= 3
             ? hutchPlusPlus(a, samples, probes, stop)
             : hutchinson(a, samples, probes, stop);
}

TraceEstimate squaredFrobeniusNorm(const LinearOperator& a, int64_t samples, uint64_t seed,
                                   const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::squared_frobenius_norm");
  if (samples < 1) throw Error("ERR_INVALID_ARGUMENT", "samples should be at least 1");
  Probes probes(a, seed);
  std::vector<double> values;
  for (int64_t i = 0; i < samples; ++i) {
    const double norm = normOf(a.matvec(probes.rademacher(), stop));
    values.push_back(norm * norm);
  }
  return summarize(values);
}

Record recordOf(const TraceEstimate& result) {
  return {{{"estimate", result.estimate},
           {"standardError", result.standardError},
           {"products", result.products}}};
}

DiagonalEstimate estimateDiagonal(const LinearOperator& a, int64_t samples, uint64_t seed,
                                  const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::estimate_diagonal");
  checkArguments(a, samples, "diagonal");
  Probes probes(a, seed);
  // Welford's running mean; of the deviations the root of the sum of squares, which stays within
  // the precision.
  at::Tensor mean = at::zeros({a.rows()}, a.options());
  at::Tensor spread = at::zeros({a.rows()}, a.options());
  for (int64_t i = 1; i <= samples; ++i) {
    const at::Tensor z = probes.rademacher();
    const at::Tensor before = z * a.matvec(z, stop) - mean;
    const auto count = static_cast<double>(i);
    mean.add_(before, 1 / count);
    spread = at::hypot(spread, before * std::sqrt((count - 1) / count));
  }
  const auto n = static_cast<double>(samples);
  if (samples < 2) spread.fill_(std::numeric_limits<double>::quiet_NaN());
  return {mean, spread / std::sqrt(std::max(n * (n - 1), 1.0))};
}

namespace {

constexpr int64_t kSamples = 30;

TraceMethod findTraceMethod(const std::string& name) {
  if (name == "hutchinson") return TraceMethod::kHutchinson;
  if (name == "hutch++") return TraceMethod::kHutchPlusPlus;
  throw Error("ERR_INVALID_ARGUMENT",
              "method should be 'hutchinson' or 'hutch++', got '" + name + "'");
}

Record runTrace(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  return recordOf(trace(a, findTraceMethod(given.text("method", "hutchinson")),
                        given.integer("samples", kSamples), given.seed("seed"), stop));
}

Record runNorm(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  return recordOf(
      squaredFrobeniusNorm(a, given.integer("samples", kSamples), given.seed("seed"), stop));
}

Record runDiagonal(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  const DiagonalEstimate result =
      estimateDiagonal(a, given.integer("samples", kSamples), given.seed("seed"), stop);
  return {{{"diagonal", result.diagonal}, {"standardError", result.standardError}}};
}

const Rows<SolverMethod> kRows(solverMethods(), {{"trace", runTrace},
                                                 {"squaredFrobeniusNorm", runNorm},
                                                 {"stochasticDiagonal", runDiagonal}});

}  // namespace

}  // namespace tc
