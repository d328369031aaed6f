#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/operators/kfac/output_gradients.h"
#include "core/operators/kfac/plan.h"
#include "core/program/point.h"

namespace tc {

/// The bases of two sides of a block; undefined for the identity.
struct Basis {
  at::Tensor left;   ///< [g, r, r]
  at::Tensor right;  ///< [g, c, c]
};

/// One pass over all rows: for each block of a layer the diagonal of QᵀFQ with Q the product of its
/// bases and F the block of the matrix itself, [g, r, c] (George et al. 2018, "Fast approximate
/// natural gradient descent in a Kronecker-factored eigenbasis").
std::vector<at::Tensor> diagonalsIn(const std::vector<Basis>& bases, const Point& point,
                                    const Plan& plan, const OutputGradients& gradients,
                                    int64_t chunkSize, const StopToken& stop);

}  // namespace tc
