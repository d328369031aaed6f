#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/solvers/eigsh.h"

namespace tc {

/// Positions of `values` (ascending, float64 on the CPU), the wanted ones first.
at::Tensor wantedFirst(const at::Tensor& values, Which which);
/// The same where `which` is of 1/(value − sigma).
at::Tensor wantedNearFirst(const at::Tensor& values, double sigma, Which which);

/// What could still enter the wanted ones: the outermost of the others at each end that counts.
struct Rival {
  int64_t position;  ///< among the values
  double distance;   ///< how far it is from the nearest of the wanted ones, in their direction
};

/// The rivals of the first k positions of `order`, at most one for each end.
std::vector<Rival> rivalsOf(const at::Tensor& values, const at::Tensor& order, int64_t k,
                            Which which);

}  // namespace tc
