#pragma once

#include <cstdint>

namespace tc::profiling {

/// Counts what a stage of the calling thread does, for whoever asked for that of the operation.
void countStage(int64_t flops);

}  // namespace tc::profiling
