#pragma once

#include "core/operators/kfac/diagonals.h"
#include "core/operators/kfac/kronecker.h"
#include "core/operators/kfac/sums.h"

namespace tc {

/// For each layer (Σ w a aᵀ / Σ w) ⊗ Σ q g gᵀ, the Kronecker-factored approximation of the block of
/// gaussNewton, fisher or empiricalFisher (Martens & Grosse 2015, "Optimizing neural networks with
/// Kronecker-factored approximate curvature"; of convolutions Grosse & Martens 2016); exact
/// diagonals or blocks of other parameters.
/// Takes over the memory of the sums.
KroneckerPtr kfac(const Point& point, const Plan& plan, const std::vector<FactorSums>& sums,
                  const StopToken& stop);

/// The eigenvectors of `basis`, of the same plan, with the eigenvalues that are nearest the matrix
/// itself (George et al. 2018): for layers the diagonal of QᵀFQ. Blocks that are exact keep theirs,
/// or with `layersOnly` get zeros.
KroneckerPtr ekfac(const KroneckerOperator& basis, bool layersOnly, const Point& point,
                   const Plan& plan, const OutputGradients& gradients, int64_t chunkSize,
                   const StopToken& stop);

/// What the sum of `ekfac` over parts of the rows, with layers only, begins with.
KroneckerPtr withoutLayers(const KroneckerOperator& basis, const StopToken& stop);

}  // namespace tc
