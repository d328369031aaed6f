#pragma once

#include <ATen/core/Tensor.h>

#include "core/program/point.h"

namespace tc {

/// Writes the per-sample Jacobian of rows [begin, end) of the batch into `out`, [(end −
/// begin)·outputs, P]; row `sample·outputs + output`. Batched reverse mode: vmap over some samples
/// at a time of the gradient of each output, the same composition as `vmap(jacrev(f))` in PyTorch.
/// Operators that vmap does not know (recurrent layers) are differentiated row by row. A program
/// that was exported for b rows is run so many at a time: vmap over such groups of the gradient of
/// each output of each row; `begin` and `end` are multiples of b.
void perSampleJacobian(const Point& point, int64_t begin, int64_t end, const at::Tensor& out,
                       const StopToken& stop);

/// Rows whose gradients by all parameters are taken in one vmap.
int64_t rowsInVmap(const Point& point);

}  // namespace tc
