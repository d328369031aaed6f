#pragma once

#include <cstdint>

#include "core/linearization/fused/schedule.h"

namespace tc::fused {

/// Floating-point operations of a chain's matrix products for one sample; a multiply-add is two.
struct Work {
  int64_t forward = 0;     ///< W_l v_l
  int64_t direct = 0;      ///< W_lᵀ δ_l for the D_l of direct layers, all outputs
  int64_t tangent = 0;     ///< V_l v_l and W_l dv_l
  int64_t transposed = 0;  ///< W_lᵀ δ_l
  int64_t gradients = 0;   ///< δ_l v_lᵀ

  int64_t product() const { return tangent + transposed + gradients; }
};

/// By the chain rule, as any engine without direct layers would count them. `direct` is 0.
Work analyticWork(const Chain& chain);
/// What a schedule executes.
Work executedWork(const Schedule& schedule);

}  // namespace tc::fused
