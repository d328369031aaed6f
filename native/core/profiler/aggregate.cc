#include "core/profiler/aggregate.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

#include "core/profiler/nesting.h"
#include "core/profiler/stage.h"

namespace tc::profiling {
namespace {

constexpr double kNanosecondsPerMicrosecond = 1000;
/// Stages on JavaScript's thread between which an operation is on its way.
constexpr const char* kSubmit = "torch_curvature::submit";
constexpr const char* kDeliver = "torch_curvature::deliver";

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
  if (!node.helper) {
    row.selfCpuTimeTotal += microseconds(node.selfCpuTime);
    row.cpuTimeTotal += microseconds(node.cpuTime);
  }
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

/// Time in which no call ran that is counted itself, in nanoseconds.
struct Waiting {
  int64_t delivered = 0;   ///< operations
  int64_t handedOver = 0;  ///< to another thread, or back; promises wait for it
  int64_t javaScript = 0;  ///< functions of JavaScript's that products wait for
};

Waiting waiting(const Nesting& nesting) {
  struct Mark {
    int64_t time;
    int running;     ///< change of the number of outermost calls
    int onTheWay;    ///< change of the number of operations submitted and not yet delivered
    int javaScript;  ///< change of the number of products that wait for JavaScript
  };
  std::vector<Mark> marks;
  Waiting result;
  for (const Node& node : nesting.nodes) {
    const Event& event = *node.event;
    if (event.stage && event.name == kJavaScript && node.parent != nullptr) {
      marks.push_back({event.start, -1, 0, 1});
      marks.push_back({event.end, 1, 0, -1});
    }
    if (event.onDevice || event.async || node.helper) continue;
    if (node.parent == nullptr) {
      marks.push_back({event.start, 1, 0, 0});
      marks.push_back({event.end, -1, 0, 0});
    }
    if (!event.stage) continue;
    if (event.name == kSubmit) marks.push_back({event.end, 0, 1, 0});
    if (event.name == kDeliver) {
      marks.push_back({event.start, 0, -1, 0});
      ++result.delivered;
    }
  }
  std::stable_sort(marks.begin(), marks.end(),
                   [](const Mark& a, const Mark& b) { return a.time < b.time; });
  int running = 0;
  int onTheWay = 0;
  int javaScript = 0;
  for (size_t i = 0; i < marks.size(); ++i) {
    if (i > 0 && running == 0 && (javaScript > 0 || onTheWay > 0)) {
      const int64_t time = marks[i].time - marks[i - 1].time;
      (javaScript > 0 ? result.javaScript : result.handedOver) += time;
    }
    running += marks[i].running;
    onTheWay = std::max(0, onTheWay + marks[i].onTheWay);
    javaScript += marks[i].javaScript;
  }
  return result;
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
    to.helper = node.helper;
    if (!event.stage) continue;
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
    if (!node.helper) profile.selfCpuTimeTotal += microseconds(node.selfCpuTime);
    // Annotations on the device span kernels that are counted themselves.
    if (event.onDevice && !event.annotation)
      profile.selfDeviceTimeTotal += microseconds(node.selfDeviceTime);
  }
  const Waiting waited = waiting(nesting);
  const auto addWaiting = [&](const char* name, int64_t time) -> ProfileRow& {
    ProfileRow& row = rows.of(name, false, false, noShapes);
    row.selfCpuTimeTotal = row.cpuTimeTotal = microseconds(time);
    profile.selfCpuTimeTotal += row.cpuTimeTotal;
    return row;
  };
  if (waited.handedOver > 0) {
    addWaiting("torch_curvature::waiting", waited.handedOver).count =
        std::max<int64_t>(1, waited.delivered);
  }
  if (waited.javaScript > 0) addWaiting(kJavaScript, waited.javaScript);
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
