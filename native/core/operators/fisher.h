#pragma once

#include <cstdint>

#include "core/losses/data.h"
#include "core/losses/objective.h"
#include "core/operators/jacobian.h"

namespace tc {

/// The maps C of JᵀCJ for the Fisher matrices, which have the scale c of L = c Σ ℓ, with ℓ the loss
/// of one datum, and one outer product for each datum or row: c Σ_d w_d g_d g_dᵀ with g_d = ∂ℓ_d/∂y
/// and w_d the weight of the datum's row (Kunstner, Hennig & Balles 2019). With targets that the
/// model draws itself, E[g_d g_dᵀ] = ∂²ℓ_d/∂y², so that the expectation is `gaussNewton`.
///
/// g by the targets that are given.
std::unique_ptr<CenteredMap> empiricalFisherMap(const at::Tensor& y, const Objective& objective,
                                                const RowWeights& weights, Per per);
/// The mean over `samples` draws of the targets.
std::unique_ptr<CenteredMap> monteCarloFisherMap(const at::Tensor& y, const Objective& objective,
                                                 const RowWeights& weights, Per per,
                                                 const Draws& draws, int64_t samples,
                                                 const StopToken& stop);

/// Σ over the data with terms of their rows' weights: what the mean of centring divides by.
double dataWeight(const at::Tensor& y, const Objective& objective, const RowWeights& weights,
                  Per per);

}  // namespace tc
