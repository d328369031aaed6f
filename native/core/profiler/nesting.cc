#include "core/profiler/nesting.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "core/profiler/flops.h"

namespace tc::profiling {
namespace {

bool isCall(const Node& node) { return !node.event->onDevice && !node.event->async; }

/// A call is the child of the innermost call of its thread whose interval contains its own, and
/// helps whom that one helps.
void setParents(std::vector<Node>& nodes) {
  std::unordered_map<uint64_t, std::vector<Node*>> open;
  for (Node& node : nodes) {
    node.helper = node.event->helper();
    if (!isCall(node)) continue;
    auto& stack = open[node.event->thread];
    while (!stack.empty() && (node.event->start >= stack.back()->event->end ||
                              node.event->end > stack.back()->event->end)) {
      stack.pop_back();
    }
    if (!stack.empty()) {
      node.parent = stack.back();
      node.parent->children.push_back(&node);
      node.helper = node.helper || node.parent->helper;
    }
    stack.push_back(&node);
  }
}

/// Kernels count for the operator that launched them.
void addKernelTimes(std::vector<Node>& nodes) {
  std::unordered_map<uint64_t, Node*> operators;
  for (Node& node : nodes) {
    if (isCall(node) && node.event->launchedBy == 0)
      operators.emplace(node.event->correlation, &node);
  }
  for (Node& node : nodes) {
    if (!node.event->onDevice) continue;
    node.selfDeviceTime = node.event->duration();
    const auto found = operators.find(node.event->launchedBy);
    if (node.event->launchedBy != 0 && found != operators.end())
      found->second->selfDeviceTime += node.event->duration();
  }
}

/// An operator that only calls itself again (a wrapper of the dispatcher) counts once.
void collapseRepeats(std::vector<Node>& nodes) {
  for (Node& node : nodes) {
    Node* parent = node.parent;
    if (parent == nullptr || parent->children.size() != 1 ||
        parent->event->name != node.event->name) {
      continue;
    }
    node.collapsed = true;
    parent->flops = std::max(parent->flops, node.flops);
    parent->children = node.children;
    parent->selfDeviceTime += node.selfDeviceTime;
    for (Node* child : node.children) child->parent = parent;
  }
}

/// Running sums of allocations over time: of one thread, or of all.
class MemoryTimeline {
 public:
  void append(const Allocation& allocation) {
    times_.push_back(allocation.time);
    cpu_.push_back(cpu_.back() + (allocation.onDevice ? 0 : allocation.bytes));
    device_.push_back(device_.back() + (allocation.onDevice ? allocation.bytes : 0));
  }

  void share(const Event& event, Node& node) const {
    const auto first = std::lower_bound(times_.begin(), times_.end(), event.start) - times_.begin();
    const auto last = std::upper_bound(times_.begin(), times_.end(), event.end) - times_.begin();
    node.cpuMemory = cpu_[last] - cpu_[first];
    node.deviceMemory = device_[last] - device_[first];
  }

 private:
  std::vector<int64_t> times_;
  std::vector<int64_t> cpu_ = {0};
  std::vector<int64_t> device_ = {0};
};

void addMemory(const Recording& recording, std::vector<Node>& nodes) {
  MemoryTimeline everything;
  std::unordered_map<uint64_t, MemoryTimeline> threads;
  for (const Allocation& allocation : recording.allocations) {
    everything.append(allocation);
    threads[allocation.thread].append(allocation);
  }
  for (Node& node : nodes) {
    if (node.event->onDevice) continue;
    // An asynchronous region stands for work that others do.
    (node.event->async ? everything : threads[node.event->thread]).share(*node.event, node);
  }
}

std::vector<const Allocation*> allocationsOutsideCalls(const Recording& recording,
                                                       const std::vector<Node>& nodes) {
  std::unordered_map<uint64_t, std::map<int64_t, int64_t>> covered;  // start → end, by thread
  for (const Node& node : nodes) {
    if (!isCall(node) || node.parent != nullptr) continue;
    int64_t& end = covered[node.event->thread][node.event->start];
    end = std::max(end, node.event->end);
  }
  std::vector<const Allocation*> outside;
  for (const Allocation& allocation : recording.allocations) {
    const auto& intervals = covered[allocation.thread];
    const auto next = intervals.upper_bound(allocation.time);
    if (next == intervals.begin() || std::prev(next)->second < allocation.time)
      outside.push_back(&allocation);
  }
  return outside;
}

/// Children come after their parents, so one backward pass sums up.
void sumUp(std::vector<Node>& nodes) {
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    node->deviceTime += node->selfDeviceTime;
    if (node->event->onDevice) continue;
    node->cpuTime = node->event->duration();
    if (node->event->async) continue;
    node->selfCpuTime = node->cpuTime;
    node->selfCpuMemory = node->cpuMemory;
    node->selfDeviceMemory = node->deviceMemory;
    for (const Node* child : node->children) {
      node->selfCpuTime -= child->cpuTime;
      node->selfCpuMemory -= child->cpuMemory;
      node->selfDeviceMemory -= child->deviceMemory;
    }
    if (node->parent != nullptr && !node->collapsed) node->parent->deviceTime += node->deviceTime;
  }
}

void dropFlops(Node& node) {
  if (node.event->stage) return;
  node.flops = 0;
  for (Node* child : node.children) dropFlops(*child);
}

/// Operators that call others with the same work count once.
void countOnce(std::vector<Node>& nodes) {
  std::unordered_map<const Node*, uint64_t> totals;
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    uint64_t within = 0;
    for (const Node* child : node->children) within += totals[child];
    if (!node->event->stage && node->flops > 0) {
      if (countsForAll(node->flops, within)) {
        for (Node* child : node->children) dropFlops(*child);
        within = 0;
      } else {
        node->flops = 0;
      }
    }
    totals[&*node] = within + node->flops;
  }
}

}  // namespace

Nesting nest(const Recording& recording) {
  Nesting nesting;
  nesting.nodes.reserve(recording.events.size());
  for (const Event& event : recording.events) {
    Node& node = nesting.nodes.emplace_back();
    node.event = &event;
    node.flops = event.flops;
  }
  setParents(nesting.nodes);
  addKernelTimes(nesting.nodes);
  countOnce(nesting.nodes);
  collapseRepeats(nesting.nodes);
  addMemory(recording, nesting.nodes);
  sumUp(nesting.nodes);
  nesting.outsideCalls = allocationsOutsideCalls(recording, nesting.nodes);
  return nesting;
}

}  // namespace tc::profiling
