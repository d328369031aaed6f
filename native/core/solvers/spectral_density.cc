#include "core/solvers/spectral_density.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/operators/factorizations.h"
#include "core/profiler/stage.h"
#include "core/runtime/error.h"
#include "core/runtime/precision.h"
#include "core/solvers/krylov.h"
#include "core/solvers/method.h"
#include "core/solvers/probes.h"
#include "core/solvers/scale.h"
#include "core/solvers/symmetry.h"

namespace tc {
namespace {

/// What the grid reaches beyond the eigenvalues: relative to their span, and in widths of a
/// Gaussian, of which 7e-6 is further out.
constexpr double kMargin = 0.05;
constexpr double kReach = 4.5;

/// The Gaussians' sum on the grid, a probe at a time to bound the memory.
at::Tensor broaden(const at::Tensor& grid, const at::Tensor& nodes, const at::Tensor& weights,
                   double sigma) {
  constexpr double kRootTwoPi = 2.5066282746310002;
  at::Tensor density = at::zeros_like(grid);
  for (int64_t probe = 0; probe < nodes.size(0); ++probe) {
    const at::Tensor distance = (grid.unsqueeze(1) - nodes[probe].unsqueeze(0)) / sigma;
    density.add_((distance.square().mul_(-0.5).exp_() * weights[probe]).sum(1));
  }
  return density.div_(static_cast<double>(nodes.size(0)) * sigma * kRootTwoPi);
}

}  // namespace

SpectralDensity spectralDensity(const LinearOperator& a, const SpectralDensityOptions& options,
                                const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::spectral_density");
  requireSquare(a, "spectralDensity");
  if (a.rows() == 0)
    throw Error("ERR_INVALID_ARGUMENT",
                "spectralDensity needs an operator with a row: this one has no eigenvalues");
  if (options.probes < 1 || options.steps < 1 || options.gridPoints < 2)
    throw Error("ERR_INVALID_ARGUMENT",
                "probes and steps should be positive, gridPoints at least 2");
  if (!(options.margin.value_or(0) >= 0) || !(options.sigma >= 0))
    throw Error("ERR_INVALID_ARGUMENT", "margin and sigma should not be negative");
  requireSymmetric(a, "spectralDensity", stop);
  const int64_t steps = std::min(options.steps, a.rows());
  SpectralDensity result;
  // An invariant subspace ends a probe early; its unused nodes have weight zero.
  result.nodes = at::zeros({options.probes, steps}, at::kDouble);
  result.weights = at::zeros({options.probes, steps}, at::kDouble);
  Probes probes(a, options.seed);
  KrylovBasis basis(a, steps);
  for (int64_t probe = 0; probe < options.probes && result.finite; ++probe) {
    basis.projected.zero_();
    basis.insert(probes.rademacher(), 0, stop);
    int64_t size = 0;
    do {
      result.finite = basis.extend(a, size++, stop);
      ++result.products;
    } while (result.finite && size < steps && basis.next > 0);
    if (!result.finite) break;
    const auto [values, vectors] =
        symmetricEigen(basis.projected.narrow(0, 0, size).narrow(1, 0, size), stop);
    result.nodes[probe].fill_(values[-1].item<double>()).narrow(0, 0, size).copy_(values);
    result.weights[probe].narrow(0, 0, size).copy_(vectors[0].square());
  }
  const double low = result.nodes.min().item<double>();
  const double high = result.nodes.max().item<double>();
  const double largest = std::max(std::abs(low), std::abs(high));
  // What differs by rounding only is one eigenvalue.
  const bool isSingle = high - low <= largest * epsilonOf(basis.vectors) * 64;
  const double span = !isSingle ? high - low : largest > 0 ? largest : 1;
  const double step = span / static_cast<double>(options.gridPoints - 1);
  const double usual = std::max(span * (1 + 2 * options.margin.value_or(kMargin)) / 100, 2 * step);
  const double sigma = options.sigma > 0 ? options.sigma : usual;
  const double margin =
      options.margin ? *options.margin * span : std::max(kMargin * span, kReach * sigma);
  result.grid = at::linspace(low - margin, high + margin, options.gridPoints, at::kDouble);
  if (!result.finite) {
    result.density = at::full_like(result.grid, std::numeric_limits<double>::quiet_NaN());
    return result;
  }
  result.density = broaden(result.grid, result.nodes, result.weights, sigma);
  return result;
}

namespace {

Record run(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  SpectralDensityOptions options;
  options.probes = given.integer("probes", options.probes);
  options.steps = given.integer("steps", options.steps);
  options.gridPoints = given.integer("gridPoints", options.gridPoints);
  options.margin = given.number("margin");
  options.sigma = given.number("sigma", options.sigma);
  options.seed = given.seed("seed");
  const SpectralDensity result = spectralDensity(a, options, stop);
  return {{{"grid", result.grid},
           {"density", result.density},
           {"nodes", Record::Shaped{result.nodes}},
           {"weights", Record::Shaped{result.weights}},
           {"products", result.products},
           {"finite", result.finite}}};
}

const Rows<SolverMethod> kRows(solverMethods(), {{"spectralDensity", run}});

}  // namespace

}  // namespace tc
