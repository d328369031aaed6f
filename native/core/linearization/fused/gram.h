#pragma once

#include <ATen/core/Tensor.h>

#include "core/runtime/stop.h"

namespace tc::fused {

/// F += JᵀJ for the upper triangle of F, [P, P] contiguous on the CPU, where J is [rows, P] with
/// contiguous rows; both float32 or both float64. Half of a general product's work, at the speed of
/// the engine's kernels. The bits do not depend on the number of threads.
void addGramUpper(const at::Tensor& jacobian, const at::Tensor& gram, const StopToken& stop);

/// F v from the upper triangle of the symmetric F, [P, P].
at::Tensor symmetricMatvec(const at::Tensor& upper, const at::Tensor& v, const StopToken& stop);

}  // namespace tc::fused
