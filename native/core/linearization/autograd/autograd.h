#pragma once

#include <memory>

#include "core/linearization/linearization.h"
#include "core/linearization/rows_on_cores.h"

namespace tc {

/// Linearizes with libtorch's autograd: any program, device and precision.
///
/// Jᵀu is the backward pass of a graph that is kept, J v a program of the operators' derivatives
/// (tangent_program.h). For an operator without forward mode J v is instead the backward pass of
/// the gradient g(u) = Jᵀu, which is linear in u (the "double-backward trick"). Throws Error
/// ERR_UNSUPPORTED_OP, naming the operator, where that does not exist either; some operators say so
/// only in the first product.
///
/// Keeps references to the point's tensors, whose contents must stay as they are.
std::unique_ptr<Linearization> linearizeAutograd(const Point& point, const StopToken& stop);

/// The same of several parts of rows, each kept and run by a core of its own.
std::unique_ptr<Linearization> linearizeAutogradOnCores(RowsOnCores rows, const StopToken& stop);

/// The same for one product: a forward pass in which each operator is linearized, applied to the
/// tangents and forgotten, then a backward pass; in chunks of `chunkSize` rows, 0 for as many as
/// `rowsAtOnce` says. Each core has rows of its own where that pays.
std::unique_ptr<Linearization> linearizeAutogradOnce(const Point& point, int64_t chunkSize);

}  // namespace tc
