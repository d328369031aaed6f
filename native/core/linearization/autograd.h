#pragma once

#include <memory>

#include "core/linearization/linearization.h"

namespace tc {

/// Linearises with libtorch's autograd: any program, device and precision.
///
/// The gradient g(u) = Jᵀu is built once with a graph of its own; it is linear in u, so that its
/// backward pass is v ↦ J v (the "double-backward trick"). For programs with convolutions J v is a
/// forward pass of dual tensors instead, which costs less. Throws Error ERR_UNSUPPORTED_OP, naming
/// the operator, where the backward of one has no derivative; some operators say so only in the
/// first product. (libtorch has no operator that lacks this derivative and has a forward-mode one.)
///
/// Keeps references to the point's tensors, whose contents must stay as they are.
std::unique_ptr<Linearization> linearizeAutograd(const Point& point);

}  // namespace tc
