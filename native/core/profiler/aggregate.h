#pragma once

#include "core/profiler/events.h"
#include "core/profiler/profile.h"

namespace tc::profiling {

/// Rows and totals of a recording.
Profile aggregate(const Recording& recording, const ProfilerOptions& options);

/// Highest point of the bytes allocated, above the level at the start.
int64_t peakMemory(const std::vector<Allocation>& allocations);

}  // namespace tc::profiling
