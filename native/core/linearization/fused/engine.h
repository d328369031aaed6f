#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
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

/// The fused engine's linearization, tile by tile on the CPU (fused/tile.h). Throws Error
/// ERR_UNSUPPORTED_OP where it cannot run the point.
std::unique_ptr<Linearization> linearizeFused(const Point& point, int64_t products,
                                              const StopToken& stop);

/// The same for one product: Jᵀ(J v) over all rows of the point, in one pass that keeps nothing
/// beyond a tile (or, where the plan shares rows, beyond the layers' values and cotangents).
std::unique_ptr<Linearization> linearizeFusedOnce(const Point& point);

}  // namespace tc
