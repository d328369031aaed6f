#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/linearization/linearization.h"
#include "core/program/point.h"
#include "core/runtime/stop.h"

namespace tc {

/// Why the fused engine cannot run `point`, in one clause; empty if it can.
std::string fusedObstacle(const Point& point);

/// Whether the program is a chain of layers that each map single rows, wherever and in whichever
/// precision it is to run: its rows are independent of one another.
bool isChain(const Point& point);

/// The fused engine's linearisation, tile by tile on the CPU (core/fused/tile.h); null where it
/// cannot run the point.
std::unique_ptr<Linearization> linearizeFused(const Point& point, int64_t products);

/// Jᵀ(J v) over all rows of the point, in one pass that keeps nothing beyond a tile (or, where the
/// plan shares rows, beyond the layers' values and cotangents); empty where the engine cannot run
/// the point. Throws Error ABORTED.
std::optional<at::Tensor> fusedMatvec(const Point& point, const at::Tensor& v,
                                      const StopToken& stop);

/// Writes the per-sample Jacobian of rows [begin, end) of the batch into `out`, [(end −
/// begin)·outputs, P], contiguous; row sample·outputs + output. False, and nothing done, where the
/// engine cannot run the point.
bool fusedJacobian(const Point& point, int64_t begin, int64_t end, const at::Tensor& out);

}  // namespace tc
