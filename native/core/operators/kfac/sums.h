#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/operators/kfac/block.h"
#include "core/operators/kfac/layers.h"
#include "core/operators/kfac/output_gradients.h"
#include "core/program/point.h"

namespace tc {

/// How positions that share a weight are taken together (Eschenhagen et al. 2023,
/// "Kronecker-factored approximate curvature for modern neural network architectures"): each
/// position as a datum of its own, or their mean input with their summed gradient.
enum class Sharing { kExpand, kReduce };

/// What is made of a parameter that no layer covers.
enum class Others { kRefuse, kDiagonal, kBlock };

/// What the blocks are made of, in the order of `blocksOf`.
struct Plan {
  KroneckerLayers layers;
  Sharing sharing = Sharing::kExpand;
  Others others = Others::kRefuse;
  std::vector<Block> blocks;  ///< of the layers, then of the uncovered, then of the unused
};

/// Throws Error ERR_UNSUPPORTED_OP for parameters that no layer covers, unless they are wanted.
Plan planOf(const Program& program, Sharing sharing, Others others);

/// Sums over rows for one block. They add up over parts of the data.
struct FactorSums {
  at::Tensor input;   ///< Σ w a aᵀ, [g, d, d], or its diagonal, [g, d]; undefined but for layers
  at::Tensor output;  ///< Σ q g gᵀ, likewise
  double weight = 0;  ///< what the mean of a aᵀ divides by: Σ w over rows, or positions
};

/// One pass over all rows: the sums for each block.
std::vector<FactorSums> factorSums(const Point& point, const Plan& plan,
                                   const OutputGradients& gradients, int64_t chunkSize,
                                   const StopToken& stop);

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
