#include "core/solvers/estimators.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/profiler/stage.h"
#include "core/solvers/probes.h"
#include "core/solvers/solver.h"

namespace tc {
namespace {

void checkArguments(const LinearOperator& a, int64_t samples, const char* purpose) {
  requireSquare(a, purpose);
  if (samples < 1) throw Error("ERR_INVALID_ARGUMENT", "samples should be at least 1");
}

/// Mean and standard error of the mean.
TraceEstimate summarise(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0;
  for (const double value : values) mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, std::sqrt(squares / (n - 1) / n), static_cast<int64_t>(values.size())};
}

TraceEstimate hutchinson(const LinearOperator& a, int64_t samples, Probes& probes,
                         const StopToken& stop) {
  std::vector<double> values;
  for (int64_t i = 0; i < samples; ++i) {
    const at::Tensor z = probes.rademacher();
    values.push_back(dotOf(z, a.matvec(z, stop)));
  }
  return summarise(values);
}

TraceEstimate hutchPlusPlus(const LinearOperator& a, int64_t samples, Probes& probes,
                            const StopToken& stop) {
  const int64_t sketch = std::min(std::max<int64_t>(1, samples / 3), a.rows());
  std::vector<at::Tensor> sketched;
  for (int64_t i = 0; i < sketch; ++i) sketched.push_back(a.matvec(probes.rademacher(), stop));
  // Orthonormal rows that span the sketched range.
  const at::Tensor q = std::get<0>(at::linalg_qr(at::stack(sketched, 1))).t().contiguous();
  double exact = 0;
  for (int64_t i = 0; i < q.size(0); ++i) exact += dotOf(q[i], a.matvec(q[i], stop));
  if (sketch == a.rows()) return {exact, 0, 2 * sketch};  // Q is the whole space

  std::vector<double> values;
  for (int64_t i = 2 * sketch; i < std::max(samples, 2 * sketch + 1); ++i) {
    at::Tensor z = probes.rademacher();
    z = z - at::matmul(at::matmul(q, z), q);
    values.push_back(dotOf(z, a.matvec(z, stop)));
  }
  TraceEstimate rest = summarise(values);
  rest.estimate += exact;
  rest.products += 2 * sketch;
  return rest;
}

}  // namespace

TraceEstimate trace(const LinearOperator& a, TraceMethod method, int64_t samples, uint64_t seed,
                    const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::trace");
  checkArguments(a, samples, "trace");
  Probes probes(a, seed);
  return method == TraceMethod::kHutchinson ? hutchinson(a, samples, probes, stop)
                                            : hutchPlusPlus(a, samples, probes, stop);
}

DiagonalEstimate estimateDiagonal(const LinearOperator& a, int64_t samples, uint64_t seed,
                                  const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::estimate_diagonal");
  checkArguments(a, samples, "diagonal");
  Probes probes(a, seed);
  // Welford's running mean and squared deviations.
  at::Tensor mean = at::zeros({a.rows()}, a.options());
  at::Tensor squares = at::zeros({a.rows()}, a.options());
  for (int64_t i = 1; i <= samples; ++i) {
    const at::Tensor z = probes.rademacher();
    const at::Tensor sample = z * a.matvec(z, stop);
    const at::Tensor before = sample - mean;
    mean.add_(before, 1.0 / static_cast<double>(i));
    squares.add_(before * (sample - mean));
  }
  const auto n = static_cast<double>(samples);
  return {mean, (squares / (n - 1) / n).sqrt_()};
}

}  // namespace tc
