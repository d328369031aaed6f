#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/profiler/events.h"

namespace tc::profiling {

/// An event with its place among the others and its share of time and memory. Totals include the
/// children's, `self…` is what is left without them.
struct Node {
  const Event* event = nullptr;
  Node* parent = nullptr;
  std::vector<Node*> children;
  /// Ran while the thread that it helped waited or worked, which has spent the same time.
  bool helper = false;
  bool collapsed = false;  ///< stands for the same call as its parent, which keeps its numbers
  int64_t selfCpuTime = 0;
  int64_t cpuTime = 0;
  int64_t selfDeviceTime = 0;
  int64_t deviceTime = 0;
  int64_t cpuMemory = 0;
  int64_t selfCpuMemory = 0;
  int64_t deviceMemory = 0;
  int64_t selfDeviceMemory = 0;
  uint64_t flops = 0;  ///< of this call alone
};

struct Nesting {
  std::vector<Node> nodes;                      ///< in the order of the events
  std::vector<const Allocation*> outsideCalls;  ///< what no operator of its thread accounts for
};

/// Nests the calls of each thread by their intervals and shares times and memory out by the rules
/// of PyTorch's profiler, with one difference: memory goes to the calls of the thread that
/// allocated it, where PyTorch gives it to whatever ran on any thread at that moment.
Nesting nest(const Recording& recording);

}  // namespace tc::profiling
