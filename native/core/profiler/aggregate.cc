#include "core/profiler/aggregate.h"

#include <map>
#include <tuple>

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
  row.selfCpuTimeTotal += microseconds(node.selfCpuTime);
  row.cpuTimeTotal += microseconds(node.cpuTime);
  row.selfDeviceTimeTotal += microseconds(node.selfDeviceTime);
  row.deviceTimeTotal += microseconds(node.deviceTime);
  row.flops += node.event->flops;
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

}  // namespace

Profile aggregate(const Recording& recording, const ProfilerOptions& options) {
  const Nesting nesting = nest(recording);
  Profile profile;
  Rows rows(profile.rows);
  const std::vector<std::vector<int64_t>> noShapes;
  for (const Node& node : nesting.nodes) {
    const Event& event = *node.event;
    if (node.collapsed) continue;
    add(node, options.profileMemory,
        rows.of(event.name, event.onDevice, event.annotation,
                options.recordShapes ? event.shapes : noShapes));
    profile.selfCpuTimeTotal += microseconds(node.selfCpuTime);
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
