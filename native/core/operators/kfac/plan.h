#pragma once

#include <vector>

#include "core/operators/kfac/block.h"
#include "core/operators/kfac/layers.h"
#include "core/program/program.h"

namespace tc {

/// How positions that share a weight are taken together (Eschenhagen et al. 2023,
/// "Kronecker-factored approximate curvature for modern neural network architectures"): each
/// position as a datum of its own, or their mean input with their summed gradient.
enum class Sharing { kExpand, kReduce };

/// What is made of a parameter that no layer covers.
enum class Others { kRefuse, kDiagonal, kBlock };

/// What the blocks are made of.
struct Plan {
  KroneckerLayers layers;
  Sharing sharing = Sharing::kExpand;
  Others others = Others::kRefuse;
  std::vector<Block> blocks;  ///< of the layers, then of the uncovered, then of the unused
};

/// Throws Error ERR_UNSUPPORTED_OP for parameters that no layer covers, unless they are wanted.
Plan planOf(const Program& program, Sharing sharing, Others others);

}  // namespace tc
