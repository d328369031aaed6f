#include "core/profiler/events.h"

#include <libkineto.h>
#include <torch/csrc/autograd/profiler_kineto.h>
#include <torch/csrc/profiler/collection.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

#include "core/profiler/flops.h"

namespace tc::profiling {
namespace {

using torch::profiler::impl::EventType;
using torch::profiler::impl::ExtraFields;
using torch::profiler::impl::Result;

constexpr std::string_view kMemory = "[memory]";
constexpr std::string_view kOutOfMemory = "[OutOfMemory]";
/// Book-keeping that PyTorch leaves out of its tables too.
constexpr std::array<std::string_view, 6> kInternal = {"profiler::_record_function_enter",
                                                       "profiler::_record_function_enter_new",
                                                       "profiler::_record_function_exit",
                                                       "aten::is_leaf",
                                                       "aten::output_nr",
                                                       "aten::_version"};

bool isInternal(std::string_view name) {
  return std::find(kInternal.begin(), kInternal.end(), name) != kInternal.end();
}

bool isAnnotation(uint8_t activity) {
  return activity == static_cast<uint8_t>(libkineto::ActivityType::USER_ANNOTATION) ||
         activity == static_cast<uint8_t>(libkineto::ActivityType::GPU_USER_ANNOTATION);
}

Event toEvent(const torch::autograd::profiler::KinetoEvent& recorded, const StageLog& stages,
              bool flops) {
  Event event;
  event.name = recorded.name();
  if (recorded.hasShapes()) event.shapes = recorded.shapes().vec();
  event.correlation = recorded.correlationId();
  event.launchedBy = recorded.linkedCorrelationId();
  event.thread = recorded.startThreadId();
  event.start = static_cast<int64_t>(recorded.startNs());
  event.end = event.start + static_cast<int64_t>(recorded.durationNs());
  event.stage = stages.find(recorded.sequenceNr());
  if (flops) event.flops = event.stage ? event.stage->flops : flopsOf(recorded);
  event.onDevice = recorded.deviceType() != c10::DeviceType::CPU;
  event.annotation = isAnnotation(recorded.activityType());
  event.region = recorded.scope() == static_cast<uint8_t>(at::RecordScope::USER_SCOPE);
  event.async = recorded.isAsync() || recorded.startThreadId() != recorded.endThreadId();
  return event;
}

/// The CPU's allocations are taken from the tree, which also tells their addresses.
void readAllocations(const std::vector<std::shared_ptr<Result>>& tree,
                     std::vector<Allocation>& allocations) {
  std::vector<const Result*> pending;
  pending.reserve(tree.size());
  for (const auto& root : tree) pending.push_back(root.get());
  while (!pending.empty()) {
    const Result* node = pending.back();
    pending.pop_back();
    for (const auto& child : node->children_) pending.push_back(child.get());
    node->visit_if_base<ExtraFields<EventType::Allocation>>([&](const auto& allocation) {
      if (allocation.device_type_ != c10::DeviceType::CPU) return;
      allocations.push_back({node->start_time_ns_, node->start_tid_, allocation.alloc_size_,
                             /*onDevice=*/false, allocation.ptr_});
    });
  }
}

/// What the device's runtime did on behalf of an operator counts for the operator's thread.
void moveToLaunchingThread(std::vector<Event>& events) {
  std::unordered_map<uint64_t, uint64_t> threadOf;
  for (const Event& event : events) {
    if (!event.onDevice && !event.async && event.launchedBy == 0)
      threadOf.emplace(event.correlation, event.thread);
  }
  for (Event& event : events) {
    if (event.onDevice || event.launchedBy == 0) continue;
    const auto found = threadOf.find(event.launchedBy);
    if (found != threadOf.end()) event.thread = found->second;
  }
}

}  // namespace

Recording read(const torch::autograd::profiler::ProfilerResult& result, const StageLog& stages,
               bool flops) {
  Recording recording;
  recording.start = static_cast<int64_t>(result.trace_start_ns());
  for (const auto& recorded : result.events()) {
    const std::string name = recorded.name();
    const auto start = static_cast<int64_t>(recorded.startNs());
    if (name == kMemory) {
      if (recorded.deviceType() != c10::DeviceType::CPU) {
        recording.allocations.push_back({start, recorded.startThreadId(), recorded.nBytes(),
                                         /*onDevice=*/true, /*address=*/nullptr});
      }
    } else if (name == kOutOfMemory) {
      recording.failures.push_back(start);
    } else if (!isInternal(name)) {
      recording.events.push_back(toEvent(recorded, stages, flops));
    }
  }
  readAllocations(result.event_tree(), recording.allocations);
  moveToLaunchingThread(recording.events);
  std::stable_sort(recording.events.begin(), recording.events.end(),
                   [](const Event& a, const Event& b) {
                     return a.start != b.start ? a.start < b.start : a.end > b.end;
                   });
  std::stable_sort(recording.allocations.begin(), recording.allocations.end(),
                   [](const Allocation& a, const Allocation& b) { return a.time < b.time; });
  return recording;
}

}  // namespace tc::profiling
