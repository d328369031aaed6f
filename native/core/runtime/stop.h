#pragma once

#include <atomic>
#include <memory>

namespace tc {

/// Asks running work to end. Work polls it between chunks; whoever holds a copy may request the
/// stop.
class StopToken {
 public:
  void request() const noexcept { flag_->store(true, std::memory_order_relaxed); }
  bool requested() const noexcept { return flag_->load(std::memory_order_relaxed); }
  /// Throws Error with code `ABORTED` once a stop was requested.
  void poll() const {
    if (requested()) end();
  }

 private:
  [[noreturn]] static void end();

  std::shared_ptr<std::atomic<bool>> flag_ = std::make_shared<std::atomic<bool>>(false);
};

/// While one exists, its token is that of the thread, which is looked at where none can be handed
/// down: between the operators of a program, and within libtorch's backward passes. Outlived by the
/// token.
class StopScope {
 public:
  explicit StopScope(const StopToken& stop);
  ~StopScope();
  StopScope(const StopScope&) = delete;
  StopScope& operator=(const StopScope&) = delete;

  /// Polls the thread's token, if it has one.
  static void poll();

 private:
  const StopToken* outer_;
};

}  // namespace tc
