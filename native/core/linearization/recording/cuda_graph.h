#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <mutex>

#include "core/linearization/recording/recorded.h"

namespace tc {

/// Records products as CUDA graphs, so that each is one launch; null where that cannot be (on other
/// devices, with a libtorch before 2.11, with TORCH_CURVATURE_CUDA_GRAPHS=0 in the environment) or
/// does not pay for so few `products`.
///
/// All recorders of a device compute on one stream that nothing else uses, one product at a time.
/// It waits for the caller's current stream before each, and that one for it afterwards. Hence all
/// graphs can share their memory: nothing in it has to outlive a product.
std::unique_ptr<Recorder> cudaGraphs(c10::Device device, int64_t products);

/// While it is held, no graph is being captured. For what CUDA forbids meanwhile, on any thread:
/// waiting for a whole device.
std::unique_lock<std::mutex> withoutCaptures();

}  // namespace tc
