#pragma once

#include "core/linearization/chunked.h"
#include "core/losses/objective.h"
#include "core/operators/linear_operator.h"
#include "core/operators/row_weights.h"

namespace tc {

/// The Hessian of L(θ) = scale Σₙ wₙ loss(f(θ, xₙ), tₙ), [P, P]. Each chunk of rows keeps the graph
/// of its gradient, whose backward pass is the product (Pearlmutter 1994). The gradient enters
/// through the loss's closed form, which spares the graph of the loss itself. Throws Error
/// ERR_UNSUPPORTED_OP where an operator cannot be differentiated twice.
OperatorPtr hessian(Point point, const ChunkOptions& options, Objective objective,
                    RowWeights weights, const StopToken& stop);

}  // namespace tc
