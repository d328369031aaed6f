#include "binding/progress.h"

#include <atomic>
#include <deque>
#include <mutex>
#include <tuple>

#include "binding/operation.h"

namespace tc::js {
namespace {

/// False where the function returns false.
bool call(const Napi::Function& function, int64_t rightHandSide, int64_t iteration,
          double residualNorm) {
  const Napi::Env env = function.Env();
  const Napi::Value answer =
      function.Call({Napi::Number::New(env, static_cast<double>(rightHandSide)),
                     Napi::Number::New(env, static_cast<double>(iteration)),
                     Napi::Number::New(env, residualNorm)});
  return !answer.IsBoolean() || answer.As<Napi::Boolean>().Value();
}

class SameThread : public Progress {
 public:
  explicit SameThread(Napi::Function function) : function_(function) {}

  bool report(int64_t rightHandSide, int64_t iteration, double residualNorm) override {
    goesOn_ = goesOn_ && call(function_, rightHandSide, iteration, residualNorm);
    return goesOn_;
  }
  void finish() override {}

 private:
  Napi::Function function_;
  bool goesOn_ = true;
};

class OtherThread : public Progress, public std::enable_shared_from_this<OtherThread> {
 public:
  explicit OtherThread(const Napi::Function& function)
      : thread_(function.Env()), function_(Napi::Persistent(function)) {}

  bool report(int64_t rightHandSide, int64_t iteration, double residualNorm) override {
    if (ended_) return false;
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      wake = queue_.empty();
      queue_.emplace_back(rightHandSide, iteration, residualNorm);
    }
    if (wake) thread_.post([self = shared_from_this()](Napi::Env) { self->drain(); });
    return true;
  }

  void finish() override {
    drain();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  /// On JavaScript's thread: calls the function for what is queued.
  void drain() {
    while (!ended_) {
      std::tuple<int64_t, int64_t, double> next;
      {
        const std::lock_guard lock(mutex_);
        if (queue_.empty()) return;
        next = queue_.front();
        queue_.pop_front();
      }
      try {
        const Napi::HandleScope scope(function_.Env());
        if (!call(function_.Value(), std::get<0>(next), std::get<1>(next), std::get<2>(next)))
          ended_ = true;
      } catch (const Napi::Error&) {
        error_ = std::current_exception();
        ended_ = true;
      }
    }
  }

  JsThread thread_;
  std::mutex mutex_;
  std::deque<std::tuple<int64_t, int64_t, double>> queue_;
  std::atomic<bool> ended_ = false;
  Napi::FunctionReference function_;  ///< JavaScript's thread only
  std::exception_ptr error_;          ///< JavaScript's thread only
};

}  // namespace

std::shared_ptr<Progress> Progress::make(Napi::Value function, Memory memory) {
  if (!function.IsFunction()) return nullptr;
  if (memory == Memory::kBorrow) return std::make_shared<SameThread>(function.As<Napi::Function>());
  return std::make_shared<OtherThread>(function.As<Napi::Function>());
}

}  // namespace tc::js
