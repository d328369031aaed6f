#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "core/linearization/row_factors.h"
#include "core/program/point.h"
#include "core/runtime/stop.h"

namespace tc {

/// diag(JᵀCJ), [P], of a C that `factors` tells for the rows of the point, whose outputs have the
/// shape of `y`: the squares of every row's gradients of ⟨y, sₖ⟩, by a backward pass for each k
/// under vmap over some rows at a time, without a row of J. Nothing where J is the cheaper way
/// (more k than outputs) or the only one: for operators that vmap does not know, for programs that
/// were exported for a number of rows, and where the factors of a row take too much memory.
std::optional<at::Tensor> diagonalByGradients(const Point& point, const at::Tensor& y,
                                              const RowFactorsOf& factors, const StopToken& stop);

}  // namespace tc
