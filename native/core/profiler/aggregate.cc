#include "core/profiler/aggregate.h"

#include <map>
#include <tuple>
#include <unordered_map>

#include "core/profiler/nesting.h"

namespace tc::profiling {
namespace {

constexpr double kNanosecondsPerMicrosecond = 1000;

double microseconds(int64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / kNanosecondsPerMicrosecond;
}

/// Finds or begins the row of an event, in the order of first appearance.
class Rows {
 public:
  explicit Rows(std::vector<ProfileRow>& rows) : rows_(rows) {}

  ProfileRow& of(const std::string& name, bool onDevice, bool annotation,
                 const std::vector<std::vector<int64_t>>& shapes) {
    const auto [place, isNew] =
        index_.try_emplace({name, onDevice, annotation, shapes}, rows_.size());
    if (isNew) {
      ProfileRow& row = rows_.emplace_back();
      row.name = name;
      row.onDevice = onDevice;
      row.annotation = annotation;
      row.inputShapes = shapes;
    }
    return rows_[place->second];
  }

 private:
  using Key = std::tuple<std::string, bool, bool, std::vector<std::vector<int64_t>>>;
  std::vector<ProfileRow>& rows_;
  std::map<Key, size_t> index_;
};

void add(const Node& node, bool memory, ProfileRow& row) {
  ++row.count;
  row.flops += node.flops;
  // The thread that it helped has spent the same time.
  if (node.event->helper()) return;
  row.selfCpuTimeTotal += microseconds(node.selfCpuTime);
  row.cpuTimeTotal += microseconds(node.cpuTime);
  row.selfDeviceTimeTotal += microseconds(node.selfDeviceTime);
  row.deviceTimeTotal += microseconds(node.deviceTime);
  if (!memory) return;
  row.cpuMemoryUsage += node.cpuMemory;
  row.selfCpuMemoryUsage += node.selfCpuMemory;
  row.deviceMemoryUsage += node.deviceMemory;
  row.selfDeviceMemoryUsage += node.selfDeviceMemory;
}

void add(const Allocation& allocation, ProfileRow& row) {
  ++row.count;
  if (allocation.onDevice) {
    row.deviceMemoryUsage += allocation.bytes;
    row.selfDeviceMemoryUsage += allocation.bytes;
  } else {
    row.cpuMemoryUsage += allocation.bytes;
    row.selfCpuMemoryUsage += allocation.bytes;
  }
}

std::vector<ProfileEvent> listEvents(const Nesting& nesting, int64_t start, bool shapes) {
  std::unordered_map<const Node*, int64_t> places;
  std::vector<ProfileEvent> events;
  for (const Node& node : nesting.nodes) {
    if (node.collapsed) continue;
    places.emplace(&node, static_cast<int64_t>(events.size()));
    const Event& event = *node.event;
    ProfileEvent& to = events.emplace_back();
    to.name = event.name;
    if (shapes) to.inputShapes = event.shapes;
    to.start = microseconds(event.start - start);
    to.end = microseconds(event.end - start);
    to.thread = event.thread;
    if (node.parent != nullptr) to.parent = places[node.parent];
    to.cpuTime = microseconds(node.cpuTime);
    to.selfCpuTime = microseconds(node.selfCpuTime);
    to.deviceTime = microseconds(node.deviceTime);
    to.selfDeviceTime = microseconds(node.selfDeviceTime);
    to.cpuMemory = node.cpuMemory;
    to.selfCpuMemory = node.selfCpuMemory;
    to.deviceMemory = node.deviceMemory;
    to.selfDeviceMemory = node.selfDeviceMemory;
    to.flops = node.flops;
    to.onDevice = event.onDevice;
    to.annotation = event.annotation;
    to.async = event.async;
    if (!event.stage) continue;
    to.helper = event.stage->helper;
    to.executedFlops = event.stage->executed;
    to.parameters = event.stage->parameters;
    to.batch = event.stage->batch;
    if (event.stage->engine != nullptr) to.engine = event.stage->engine;
  }
  return events;
}

}  // namespace

Profile aggregate(const Recording& recording, const ProfilerOptions& options) {
  const Nesting nesting = nest(recording);
  Profile profile;
  profile.events = listEvents(nesting, recording.start, options.recordShapes);
  Rows rows(profile.rows);
  const std::vector<std::vector<int64_t>> noShapes;
  for (const Node& node : nesting.nodes) {
    const Event& event = *node.event;
    if (node.collapsed) continue;
    add(node, options.profileMemory,
        rows.of(event.name, event.onDevice, event.annotation,
                options.recordShapes ? event.shapes : noShapes));
    if (!event.helper()) profile.selfCpuTimeTotal += microseconds(node.selfCpuTime);
    // Annotations on the device span kernels that are counted themselves.
    if (event.onDevice && !event.annotation)
      profile.selfDeviceTimeTotal += microseconds(node.selfDeviceTime);
  }
  if (options.profileMemory) {
    for (const Allocation* allocation : nesting.outsideCalls)
      add(*allocation, rows.of("[memory]", false, false, noShapes));
  }
  if (!recording.failures.empty()) {
    rows.of("[OutOfMemory]", false, false, noShapes).count =
        static_cast<int64_t>(recording.failures.size());
  }
  profile.peakMemory = peakMemory(recording.allocations);
  return profile;
}

}  // namespace tc::profiling
