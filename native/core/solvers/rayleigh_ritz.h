#pragma once

#include "core/solvers/eigsh.h"

namespace tc {

/// Puts the eigenpairs of A in the span of `vectors`, [k, n] with orthonormal rows q, and their
/// residuals into the result, by the products A q, [k, n]: Rayleigh & Ritz.
void rayleighRitz(EigshResult& result, const at::Tensor& vectors, const at::Tensor& products,
                  const StopToken& stop);

}  // namespace tc
