#pragma once

#include <ATen/core/Tensor.h>

#include <any>
#include <functional>
#include <memory>
#include <utility>

#include "binding/convert.h"
#include "binding/js.h"
#include "core/runtime/stop.h"

namespace tc::js {

/// What a computation leaves for JavaScript: a tensor, or a value of any other type.
class Result {
 public:
  Result() = default;
  Result(at::Tensor tensor) : value_(std::move(tensor)) {}
  template <typename T>
  static Result of(T value) {
    Result result;
    result.value_ = std::move(value);
    return result;
  }

  operator const at::Tensor&() const { return as<at::Tensor>(); }
  template <typename T>
  const T& as() const {
    return *std::any_cast<T>(&value_);
  }
  void reset() { value_.reset(); }

 private:
  std::any value_;
};

/// An operation once its arguments were taken from JavaScript: what to compute (on any thread,
/// without JavaScript) and how its result goes back.
struct Prepared {
  std::function<Result(const StopToken&)> compute;
  std::function<Napi::Value(Napi::Env, const Result&, Napi::Value out)> deliver;
  int threads = 0;    ///< intra-op threads; 0: the default
  Napi::Value out{};  ///< array that receives the result, or empty
  /// Array whose memory `compute` reads without a copy, or empty: nobody but the package knows it,
  /// so that it neither changes nor goes away meanwhile.
  Napi::Value kept{};
};

struct Environment;

/// JavaScript's thread of one environment (the main thread or a worker), to be reached from others.
class JsThread {
 public:
  explicit JsThread(Napi::Env env);
  /// Has `task` run on JavaScript's thread, in the order of the posts; never waits. Does nothing,
  /// and returns false, once the environment ends.
  bool post(std::function<void(Napi::Env)> task) const;

 private:
  std::shared_ptr<Environment> environment_;
};

/// Takes the arguments of a call. With Memory::kBorrow, `compute` ends before the call returns.
using Prepare = std::function<Prepared(const Napi::CallbackInfo&, Memory)>;

/// Exports `name`, which returns a promise and computes on the executor's threads (its last
/// argument may be a stop handle), and `nameSync`, which computes on the calling thread.
void addOperation(Napi::Env env, Napi::Object exports, const char* name, const Prepare& prepare);

/// Exports `createStop` and `stop`, and prepares the environment for asynchronous operations.
void addScheduling(Napi::Env env, Napi::Object exports);

}  // namespace tc::js
