#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/program/point.h"
#include "core/runtime/stop.h"

namespace tc {

/// y = f(θ, x), [N, …], in chunks of `chunkSize` rows (0: as `rowsAtOnce` says). Throws Error
/// ERR_SHAPE_MISMATCH, ABORTED.
at::Tensor forwardPass(const Point& point, int64_t chunkSize, const StopToken& stop);

}  // namespace tc
