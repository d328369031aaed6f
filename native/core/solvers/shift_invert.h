#pragma once

#include "core/solvers/eigsh.h"

namespace tc {

/// `eigsh` for a σ: the eigenvalues λ of A whose 1/(λ − σ) are the wanted ones, by Lanczos on
/// (A − σI)⁻¹, each product of which is a solution by MINRES (Ericsson & Ruhe 1980, "The spectral
/// transformation Lanczos method"); eigenvalues and residuals are then those of A. `iterations`
/// counts the products with A. Throws as `eigsh`, and Error ERR_NO_CONVERGENCE where MINRES does
/// not get there: σ is an eigenvalue, or too close to one.
EigshResult shiftInvert(const LinearOperator& a, const EigshOptions& options,
                        const StopToken& stop);

}  // namespace tc
