#include "core/profiler/trace.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string_view>

#include "core/runtime/error.h"

namespace tc::profiling {
namespace {

namespace fs = std::filesystem;

/// A new folder for temporary files, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::random_device random;
    for (int attempt = 0; attempt < 100; ++attempt) {
      path_ = fs::temp_directory_path() / ("torch-curvature-trace-" + std::to_string(random()));
      if (fs::create_directory(path_)) {
        fs::permissions(path_, fs::perms::owner_all);
        return;
      }
    }
    throw Error("ERR_INVALID_ARGUMENT",
                "no temporary folder could be made in " + fs::temp_directory_path().string());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

[[noreturn]] void refuse(const std::string& path, int reason) {
  throw Error("ERR_INVALID_ARGUMENT",
              "the trace could not be written to '" + path + "': " + std::strerror(reason));
}

/// Above the numbers of threads.
constexpr int64_t kFirstLane = 1'000'000'000;

/// Puts the last event of `text` that the CPU ran into a lane of its own process.
void moveToLane(std::string& text, int64_t lane) {
  constexpr std::string_view kThread = "\"tid\": ";
  const size_t begin = text.rfind("\"ph\": \"X\"");
  const size_t at = text.rfind(kThread);
  if (begin == std::string::npos || at == std::string::npos || at < begin) return;
  const std::string own = "\"pid\": " + std::to_string(getpid()) + ",";
  if (text.find(own, begin) == std::string::npos) return;
  const size_t first = at + kThread.size();
  size_t last = first;
  while (last < text.size() && text[last] >= '0' && text[last] <= '9') ++last;
  text.replace(first, last - first, std::to_string(kFirstLane + lane));
}

/// libtorch writes `"External id": 17` among the arguments of the event whose correlation is 17.
std::string annotated(const std::string& text,
                      const std::unordered_map<uint64_t, std::string>& notes,
                      const std::unordered_map<uint64_t, int64_t>& lanes) {
  constexpr std::string_view kId = "\"External id\": ";
  std::string result;
  size_t copied = 0;
  for (size_t at = text.find(kId); at != std::string::npos; at = text.find(kId, copied)) {
    size_t end = at + kId.size();
    uint64_t id = 0;
    for (; end < text.size() && text[end] >= '0' && text[end] <= '9'; ++end)
      id = 10 * id + static_cast<uint64_t>(text[end] - '0');
    result.append(text, copied, end - copied);
    copied = end;
    if (const auto note = notes.find(id); note != notes.end()) result += note->second;
    if (const auto lane = lanes.find(id); lane != lanes.end()) moveToLane(result, lane->second);
  }
  return result.append(text, copied);
}

/// With the names of threads as the first events.
std::string named(std::string text, const std::unordered_map<int64_t, std::string>& threads) {
  constexpr std::string_view kEvents = "\"traceEvents\": [";
  const size_t at = text.find(kEvents);
  if (at == std::string::npos) return text;
  std::string names;
  for (const auto& [id, name] : threads) {
    names += "\n  {\"ph\": \"M\", \"name\": \"thread_name\", \"pid\": " + std::to_string(getpid()) +
             ", \"tid\": " + std::to_string(id) + ", \"args\": {\"name\": \"thread " +
             std::to_string(id) + " (" + name + ")\"}},";
  }
  return text.insert(at + kEvents.size(), names);
}

}  // namespace

Trace::Trace(std::unique_ptr<torch::autograd::profiler::ProfilerResult> result,
             std::unordered_map<uint64_t, std::string> notes,
             std::unordered_map<int64_t, std::string> threads,
             std::unordered_map<uint64_t, int64_t> lanes)
    : result_(std::move(result)),
      notes_(std::move(notes)),
      threads_(std::move(threads)),
      lanes_(std::move(lanes)) {
  for (const auto& [id, lane] : lanes_) threads_[kFirstLane + lane] = "asynchronous regions";
}

Trace::~Trace() = default;

void Trace::render() {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "trace.json").string();
  result_->save(path);
  std::ostringstream text;
  std::ifstream file(path, std::ios::binary);
  if (!file || !(text << file.rdbuf())) refuse(path, errno);
  text_ = named(annotated(std::move(text).str(), notes_, lanes_), threads_);
  result_.reset();
}

void Trace::save(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (result_) render();
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!file) refuse(path, errno);
  file.write(text_.data(), static_cast<std::streamsize>(text_.size()));
  file.close();
  if (!file) refuse(path, errno);
}

}  // namespace tc::profiling
