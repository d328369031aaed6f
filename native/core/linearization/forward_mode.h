#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/point.h"

namespace tc {

/// Whether forward mode gives the transpose of reverse mode for this program. It ignores the
/// padding row of an embedding, whose derivative reverse mode says is zero.
bool forwardModeAgrees(const Program& program);

/// Whether a forward pass of dual tensors costs less than the backward pass of a gradient's graph:
/// so for convolutions, whose double backward takes several convolutions for each of theirs.
bool forwardModeIsCheaper(const Program& program);

/// J v by a forward pass of dual tensors, for tangents of the shapes of the parameters; of the
/// shape of the output, undefined where no parameter reaches it. Throws c10::NotImplementedError
/// for an operator without forward mode.
at::Tensor pushForward(const Point& point, const std::vector<at::Tensor>& tangents);

}  // namespace tc
