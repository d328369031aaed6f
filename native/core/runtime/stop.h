#pragma once

#include <atomic>
#include <memory>
#include <mutex>

namespace tc {

/// Asks running work to end. Work polls it between chunks; whoever holds a copy may request the
/// stop.
class StopToken {
 public:
  void request() const noexcept { state_->requested = true; }
  bool requested() const noexcept { return state_->requested.load(std::memory_order_relaxed); }
  /// Whether the work is in a call that cannot be interrupted (`uninterrupted`): it will end with
  /// the error of `poll` if a stop was requested, but nobody knows when.
  bool isDeaf() const noexcept { return state_->deaf > 0; }
  /// Throws Error with code `ABORTED` once a stop was requested.
  void poll() const {
    if (requested()) end();
  }

 private:
  [[noreturn]] static void end();

  struct State {
    std::atomic<bool> requested = false;
    std::atomic<int> deaf = 0;
  };
  template <typename Call>
  friend auto uninterrupted(const StopToken& stop, Call&& call);

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// Calls what may take long and looks at no token, such as a factorization by LAPACK. Who requests
/// the stop meanwhile may take it for granted (`isDeaf`); throws as `poll` does before and after.
template <typename Call>
auto uninterrupted(const StopToken& stop, Call&& call) {
  struct Deaf {
    StopToken::State& state;
    explicit Deaf(StopToken::State& state) : state(state) { ++state.deaf; }
    ~Deaf() { --state.deaf; }
    Deaf(const Deaf&) = delete;
    Deaf& operator=(const Deaf&) = delete;
  };
  auto result = [&] {
    const Deaf deaf(*stop.state_);
    // In one order with `request`, so that either this sees the request or that sees `deaf`.
    if (stop.state_->requested) stop.poll();
    return call();
  }();
  stop.poll();
  return result;
}

/// The mutex, which others may hold for as long as their work takes.
inline std::unique_lock<std::mutex> lockOf(std::mutex& mutex, const StopToken& stop) {
  return uninterrupted(stop, [&] { return std::unique_lock(mutex); });
}

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
