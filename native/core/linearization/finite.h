#pragma once

#include <memory>

#include "core/linearization/linearization.h"
#include "core/program/point.h"

namespace tc {

/// The fused engine's linearization where numbers are finite, and libtorch's operators where they
/// are not. Kernels multiply by slopes of 0 where libtorch masks (0 · ∞ is NaN), and fill tiles up
/// with rows of the batch: results with infinities or NaN are asked for again, so that they are
/// those of autograd, where both engines have the same.
std::unique_ptr<Linearization> whereFinite(const Point& point,
                                           std::unique_ptr<Linearization> fused);

}  // namespace tc
