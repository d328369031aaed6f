#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace tc::profiling {

/// What one operation did, for those who ask without recording a profile: filled by the stages of
/// the thread that holds a Scope, and of threads that help it.
class Meter {
 public:
  /// Null before a product has said which.
  const char* engine() const { return engine_; }
  /// As a profile counts them: of stages and of libtorch's operators. None where some ran elsewhere
  /// than on the CPU, as not all of those are seen.
  std::optional<int64_t> flops() const {
    return elsewhere_ ? std::nullopt : std::optional<int64_t>(flops_);
  }

  class Scope {
   public:
    /// `meter` may be null.
    explicit Scope(Meter* meter);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Meter* before_;
  };

  /// Of the calling thread; null where nobody asks.
  static Meter* current();
  void setEngine(const char* engine) { engine_ = engine; }
  void count(int64_t flops) { flops_ += flops; }
  void ranElsewhere() { elsewhere_ = true; }

 private:
  std::atomic<const char*> engine_ = nullptr;
  std::atomic<int64_t> flops_ = 0;
  std::atomic<bool> elsewhere_ = false;
};

}  // namespace tc::profiling
