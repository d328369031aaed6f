#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/operators/kfac/layers.h"

namespace tc {

/// What a layer multiplies at each position of some rows: a, [n, R, groups, inputs], with a 1 after
/// the inputs where it has a bias; for an embedding the indices instead, [n, R]. `argument` is what
/// the node was called with, [n, …].
at::Tensor inputPositions(const LayerUse& use, const at::Tensor& argument, bool bias);

/// Gradients g by what a layer gives at each position, [n, R, groups, outputs], from those by the
/// node's result, [n, …].
at::Tensor outputPositions(const LayerUse& use, const at::Tensor& gradient);

/// Elements of `inputPositions` for each row of the argument.
int64_t inputElements(const LayerUse& use, const at::Tensor& argument);

}  // namespace tc
