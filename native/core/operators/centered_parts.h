#pragma once

#include <memory>
#include <string>

#include "core/operators/jacobian.h"

namespace tc {

// A centered matrix over data that come batch by batch, Σ_b JᵀBᵀW(BJ v − 1 meanᵀ), needs the mean
// over all batches before the product with any: a pass for the mean, then one for the product. Of
// one batch, with C = BᵀWB the map of its rows:

/// v ↦ wᵀBJ v, [means, P]: what the batch adds to the mean times the sum of the weights.
OperatorPtr weightedSums(LinearizationPtr linearization, std::shared_ptr<const CenteredMap> map);

/// (v, mean) ↦ JᵀBᵀW(BJ v − 1 meanᵀ), [P, P + means]: what the batch adds to the product.
OperatorPtr productAround(LinearizationPtr linearization, std::shared_ptr<const CenteredMap> map);

/// `scale` times the product with the mean of the parts' own data, [P, P], symmetric or
/// antisymmetric.
OperatorPtr centered(CenteredParts parts, double scale, bool antisymmetric);

/// One of them by name, `sums` or `around`, or for an empty name the whole of JᵀCJ.
OperatorPtr centeredPart(const std::string& name, LinearizationPtr linearization,
                         std::shared_ptr<const CenteredMap> map);

}  // namespace tc
