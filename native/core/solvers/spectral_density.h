#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "core/operators/linear_operator.h"

namespace tc {

struct SpectralDensityOptions {
  int64_t probes = 10;  ///< random start vectors
  int64_t steps = 80;   ///< Lanczos steps for each, at most n
  int64_t gridPoints = 1024;
  /// What the grid reaches beyond the Ritz values, relative to their span. By default 5 % and at
  /// least 4.5 sigma, so that the density on the grid integrates to 1.
  std::optional<double> margin;
  /// Width of the Gaussians; 0: 1 % of the span of the grid, and at least two of its steps.
  double sigma = 0;
  uint64_t seed = 0;
};

struct SpectralDensity {
  at::Tensor grid;     ///< [gridPoints], ascending; float64 on the CPU, as all of these
  at::Tensor density;  ///< [gridPoints]; integrates to 1 over the real line
  at::Tensor nodes;    ///< [probes, steps]: Ritz values, ascending
  at::Tensor weights;  ///< [probes, steps]: those of Gauss quadrature, each row sums to 1
  int64_t products = 0;
  bool finite = true;  ///< false: the operator gave NaN or infinity, and so is the density
};

/// The density of the eigenvalues of a symmetric A, by stochastic Lanczos quadrature (Golub &
/// Welsch 1969; Ghorbani, Krishnan & Xiao 2019), broadened by Gaussians.
SpectralDensity spectralDensity(const LinearOperator& a, const SpectralDensityOptions& options,
                                const StopToken& stop);

}  // namespace tc
