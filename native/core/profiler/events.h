#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/profiler/stage_log.h"

namespace torch::autograd::profiler {
struct ProfilerResult;
}

namespace tc::profiling {

/// One call on the CPU, or one kernel on the device, as libtorch's profiler recorded it. Times in
/// nanoseconds.
struct Event {
  std::string name;
  std::vector<std::vector<int64_t>> shapes;
  uint64_t correlation = 0;
  uint64_t launchedBy = 0;  ///< correlation of the operator that a device activity belongs to
  uint64_t thread = 0;
  int64_t start = 0;
  int64_t end = 0;
  uint64_t flops = 0;
  bool onDevice = false;
  bool annotation = false;  ///< a named region rather than an operator or a kernel
  bool region = false;      ///< a region begun by recordFunction
  /// Begins and ends on different threads, or spans other work of its thread: outside the nesting.
  bool async = false;
  std::optional<StageDetails> stage;  ///< of a stage of ours

  bool helper() const { return stage && stage->helper; }
  int64_t duration() const { return end - start; }
};

/// Memory taken (positive) or given back (negative).
struct Allocation {
  int64_t time = 0;
  uint64_t thread = 0;
  int64_t bytes = 0;
  bool onDevice = false;
  const void* address = nullptr;  ///< null where the profiler does not say
};

struct Recording {
  std::vector<Event> events;            ///< by start; of two that start together the longer first
  std::vector<Allocation> allocations;  ///< by time
  std::vector<int64_t> failures;        ///< times at which an allocation failed
  int64_t start = 0;
};

/// `flops` as asked for: those of operators are counted only from recorded shapes.
Recording read(const torch::autograd::profiler::ProfilerResult& result, const StageLog& stages,
               bool flops);

}  // namespace tc::profiling
