#pragma once

// The only header that includes Node-API; everything in `binding/` goes through it.
// Without ALL, an exception that is neither a Napi::Error nor a std::exception would end the
// process; without SWALLOW, ending a worker while one of its operations is in flight would.
#define NODE_ADDON_API_CPP_EXCEPTIONS_ALL
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include <exception>
#include <utility>

namespace tc::js {

/// A JavaScript error (`message`, `code`) for the C++ exception in flight. The one place where
/// exceptions are translated: our own codes, libtorch's out-of-memory, unsupported operators and
/// everything else.
Napi::Error translate(Napi::Env env, const std::exception_ptr& error) noexcept;

/// Runs `body`, turning any C++ exception into a JavaScript one.
template <typename Body>
auto guarded(Napi::Env env, Body&& body) -> decltype(body()) {
  try {
    return std::forward<Body>(body)();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw translate(env, std::current_exception());
  }
}

/// Adds a function to the exports whose C++ exceptions are translated.
template <typename Function>
void add(Napi::Env env, Napi::Object exports, const char* name, Function function) {
  exports.Set(name, Napi::Function::New(
                        env,
                        [function](const Napi::CallbackInfo& info) -> Napi::Value {
                          return guarded(info.Env(), [&] { return Napi::Value(function(info)); });
                        },
                        name));
}

// One function for each topic, called from `addon.cc`.
void addInfo(Napi::Env env, Napi::Object exports);
void addTables(Napi::Env env, Napi::Object exports);
void addSettings(Napi::Env env, Napi::Object exports);
void addProgram(Napi::Env env, Napi::Object exports);
void addProducts(Napi::Env env, Napi::Object exports);
void addLinearization(Napi::Env env, Napi::Object exports);
void addOperators(Napi::Env env, Napi::Object exports);
void addSolvers(Napi::Env env, Napi::Object exports);
void addKronecker(Napi::Env env, Napi::Object exports);
void addCallbackOperator(Napi::Env env, Napi::Object exports);
void addDistributed(Napi::Env env, Napi::Object exports);
void addRandom(Napi::Env env, Napi::Object exports);
void addProfiler(Napi::Env env, Napi::Object exports);
void addModelFiles(Napi::Env env, Napi::Object exports);

}  // namespace tc::js
