#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace tc::profiling {

/// What libtorch's recording of a stage has no place for.
struct StageDetails {
  uint64_t flops = 0;
  uint64_t executed = 0;
  int64_t parameters = -1;  ///< −1: not a product
  int64_t batch = -1;
  const char* engine = nullptr;
  bool helper = false;  ///< on a thread whose time is another's, or waiting for one
};

/// The details of the stages of one recording. libtorch keeps a sequence number with each operator,
/// for backward passes; numbers below −1 are free and lead from a recorded stage to its details.
/// Stages of several threads write at once.
class StageLog {
 public:
  /// The log that stages write to; null when nothing is recorded.
  static std::shared_ptr<StageLog> current();
  static void setCurrent(std::shared_ptr<StageLog> log);

  /// A place for a stage of the calling thread, as its sequence number.
  int64_t add(const StageDetails& details);
  template <typename Change>
  void change(int64_t sequence, Change&& change) {
    const std::lock_guard lock(mutex_);
    change(details_[indexOf(sequence)]);
  }
  /// Of the stage with this sequence number; empty for one that is no stage's.
  std::optional<StageDetails> find(int64_t sequence) const;
  /// Names of the threads that stages ran on, by the system's number.
  std::unordered_map<int64_t, std::string> threads() const;

 private:
  static size_t indexOf(int64_t sequence) { return static_cast<size_t>(-2 - sequence); }

  mutable std::mutex mutex_;
  std::deque<StageDetails> details_;
  std::unordered_map<int64_t, std::string> threads_;
  const uint64_t serial_ = nextSerial();

  static uint64_t nextSerial();
};

}  // namespace tc::profiling
