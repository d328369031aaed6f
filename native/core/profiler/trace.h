#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace torch::autograd::profiler {
struct ProfilerResult;
}

namespace tc::profiling {

/// The Chrome trace of a recording. libtorch writes one only once, and does not say when it could
/// not; this one can be written again and again.
class Trace {
 public:
  /// `notes`: what to add to the arguments of an event by its correlation, as JSON that begins with
  /// a comma. `threads`: names by the system's number, of which libtorch writes those that it has
  /// not met in an earlier recording. `lanes`: by its correlation, the place of an asynchronous
  /// region among those that overlap: viewers drop what is not nested in its thread.
  Trace(std::unique_ptr<torch::autograd::profiler::ProfilerResult> result,
        std::unordered_map<uint64_t, std::string> notes,
        std::unordered_map<int64_t, std::string> threads,
        std::unordered_map<uint64_t, int64_t> lanes);
  ~Trace();

  /// Throws Error ERR_INVALID_ARGUMENT when the file cannot be written.
  void save(const std::string& path);

 private:
  void render();

  std::mutex mutex_;
  std::unique_ptr<torch::autograd::profiler::ProfilerResult> result_;  ///< until rendered
  std::unordered_map<uint64_t, std::string> notes_;
  std::unordered_map<int64_t, std::string> threads_;
  std::unordered_map<uint64_t, int64_t> lanes_;
  std::string text_;
};

}  // namespace tc::profiling
