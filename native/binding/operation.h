#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "binding/convert.h"
#include "binding/js.h"
#include "core/stop.h"

namespace tc::js {

/// An operation once its arguments were taken from JavaScript: what to compute (on any thread,
/// without JavaScript) and how its result goes back.
struct Prepared {
  std::function<at::Tensor(const StopToken&)> compute;
  std::function<Napi::Value(Napi::Env, const at::Tensor&, Napi::Value out)> deliver;
  int threads = 0;    ///< intra-op threads; 0: the default
  Napi::Value out{};  ///< array that receives the result, or empty
};

/// Takes the arguments of a call. With Memory::kBorrow, `compute` ends before the call returns.
using Prepare = std::function<Prepared(const Napi::CallbackInfo&, Memory)>;

/// Exports `name`, which returns a promise and computes on the executor's threads (its last
/// argument may be a stop handle), and `nameSync`, which computes on the calling thread.
void addOperation(Napi::Env env, Napi::Object exports, const char* name, const Prepare& prepare);

/// Exports `createStop` and `stop`, and prepares the environment for asynchronous operations.
void addScheduling(Napi::Env env, Napi::Object exports);

}  // namespace tc::js
