#include "core/profiler/session.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/util/Logging.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <set>
#include <unordered_map>

#include "core/linearization/recording/cuda_graph.h"
#include "core/profiler/aggregate.h"
#include "core/profiler/events.h"
#include "core/profiler/trace.h"
#include "core/runtime/device.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

namespace kineto = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;
using torch::profiler::impl::ProfilerConfig;
using torch::profiler::impl::ProfilerState;

std::atomic<bool> occupied = false;

/// Kineto announces every start and stop on stderr unless told otherwise before its first use, and
/// libtorch's allocator what is freed while a profile is recorded and is older. Nothing is said
/// where the user has not asked for it.
void silenceLogs() {
  static const bool once = [] {
    constexpr int kError = 2;  // of the levels of c10's log
    if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr)
      FLAGS_caffe2_log_level = std::max<int>(FLAGS_caffe2_log_level, kError);
    return setenv("KINETO_LOG_LEVEL", "99", /*overwrite=*/0) == 0;
  }();
  static_cast<void>(once);
}

ProfilerConfig configure(const ProfilerOptions& options) {
  // libtorch counts operations only from recorded shapes. Memory is always recorded, for the peak.
  return ProfilerConfig(ProfilerState::KINETO,
                        /*report_input_shapes=*/options.recordShapes || options.withFlops,
                        /*profile_memory=*/true, /*with_stack=*/false, options.withFlops);
}

std::set<ActivityType> activities(const ProfilerOptions& options) {
  std::set<ActivityType> chosen;
  if (options.cpu) chosen.insert(ActivityType::CPU);
  if (options.cuda) chosen.insert(ActivityType::CUDA);
  return chosen;
}

void synchronizeDevices() {
  const auto lock = withoutCaptures();
  const auto& hooks = at::detail::getCUDAHooks();
  for (size_t device = 0; device < cudaDevices().size(); ++device)
    hooks.deviceSynchronize(static_cast<c10::DeviceIndex>(device));
}

/// Characters that libtorch would write into the trace's JSON as they are.
std::string safeForTrace(std::string name) {
  for (char& letter : name) {
    if (letter == '"') letter = '\'';
    if (static_cast<unsigned char>(letter) < 0x20) letter = ' ';
  }
  return name;
}

/// Adds what libtorch does not keep of a region. Both lists are in order of beginning.
void describeRegions(const std::vector<std::shared_ptr<ProfilerRegion>>& regions,
                     std::vector<profiling::Event>& events) {
  const uint64_t thread = at::RecordFunction::currentThreadId();
  auto region = regions.begin();
  for (profiling::Event& event : events) {
    if (region == regions.end()) return;
    if (event.onDevice || !event.region || event.thread != thread) continue;
    event.name = (*region)->name();
    event.async |= (*region)->async();
    ++region;
  }
}

/// What the trace says of our stages beside their times.
std::unordered_map<uint64_t, std::string> notes(const std::vector<profiling::Event>& events) {
  std::unordered_map<uint64_t, std::string> notes;
  for (const profiling::Event& event : events) {
    if (!event.stage) continue;
    std::string note;
    const auto add = [&note](const std::string& name, const std::string& value) {
      note += ", \"" + name + "\": " + value;
    };
    const auto& stage = *event.stage;
    if (stage.parameters >= 0) add("P", std::to_string(stage.parameters));
    if (stage.batch >= 0) add("batch", std::to_string(stage.batch));
    if (stage.engine != nullptr) add("engine", std::string("\"") + stage.engine + "\"");
    if (stage.flops > 0) add("FLOPs", std::to_string(stage.flops));
    if (stage.executed > 0) add("executed FLOPs", std::to_string(stage.executed));
    if (!note.empty()) notes.emplace(event.correlation, std::move(note));
  }
  return notes;
}

/// Asynchronous regions by their correlation, each in the first lane where none before it goes on.
std::unordered_map<uint64_t, int64_t> lanes(const std::vector<profiling::Event>& events) {
  std::unordered_map<uint64_t, int64_t> lanes;
  std::vector<int64_t> ends;
  for (const profiling::Event& event : events) {
    if (!event.region || !event.async || event.onDevice) continue;
    const auto free =
        std::find_if(ends.begin(), ends.end(), [&](int64_t end) { return end <= event.start; });
    lanes.emplace(event.correlation, free - ends.begin());
    if (free == ends.end()) {
      ends.push_back(event.end);
    } else {
      *free = event.end;
    }
  }
  return lanes;
}

}  // namespace

ProfilerSession::Slot::Slot() {
  if (occupied.exchange(true)) {
    throw Error("ERR_PROFILER_BUSY",
                "a profile is being recorded already; a process can record one at a time");
  }
}

ProfilerSession::Slot::~Slot() { occupied = false; }

ProfilerSession::ProfilerSession(const ProfilerOptions& options) : options_(options) {
  if (options.cuda && cudaDevices().empty()) {
    throw Error("ERR_DEVICE_UNAVAILABLE",
                "the activity 'cuda' cannot be profiled: no CUDA device is available");
  }
  silenceLogs();
  const ProfilerConfig config = configure(options);
  kineto::prepareProfiler(config, activities(options));
  kineto::enableProfiler(config, activities(options));
  state_ = c10::ThreadLocalDebugInfo::_peek(c10::DebugInfoKind::PROFILER_STATE);
  recording_ = true;
  profiling::StageLog::setCurrent(stages_);
}

ProfilerSession::~ProfilerSession() {
  if (!recording_) return;
  profiling::StageLog::setCurrent(nullptr);
  try {
    endRegions();
    kineto::disableProfiler();
  } catch (...) {  // NOLINT(bugprone-empty-catch): nobody is left to be told
  }
}

Profile ProfilerSession::stop() {
  endRegions();
  if (options_.cuda) synchronizeDevices();
  recording_ = false;
  profiling::StageLog::setCurrent(nullptr);
  auto result = kineto::disableProfiler();
  state_.reset();
  profiling::Recording recording = profiling::read(*result, *stages_, options_.withFlops);
  describeRegions(regions_, recording.events);
  Profile profile = profiling::aggregate(recording, options_);
  const auto trace = std::make_shared<profiling::Trace>(
      std::move(result), notes(recording.events), stages_->threads(), lanes(recording.events));
  profile.save = [trace](const std::string& path) { trace->save(path); };
  return profile;
}

std::shared_ptr<ProfilerRegion> ProfilerSession::enter(const std::string& name) {
  regions_.push_back(std::make_shared<ProfilerRegion>(name));
  return regions_.back();
}

void ProfilerSession::endRegions() {
  // A region that ended later would write into the recording of the next session.
  for (const auto& region : regions_) region->end(/*async=*/true);
}

ProfilerRegion::ProfilerRegion(const std::string& name)
    : name_(name), record_(std::make_unique<at::RecordFunction>(at::RecordScope::USER_SCOPE)) {
  record_->before(safeForTrace(name));
}

void ProfilerRegion::end(bool async) {
  if (!record_) return;
  async_ = async;
  record_.reset();
}

}  // namespace tc
