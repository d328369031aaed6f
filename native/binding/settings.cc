#include <cmath>

#include "binding/request.h"
#include "core/runtime/executor.h"
#include "core/runtime/memory.h"
#include "core/runtime/threads.h"

namespace tc::js {
namespace {

constexpr int64_t kUnlimited = Executor::kUnlimited;

/// Infinity stands for no limit.
int64_t limitOf(const Fields& fields, const char* name) {
  const double number = fields.number(name);
  return std::isfinite(number) ? static_cast<int64_t>(number) : kUnlimited;
}

Napi::Value limitOf(Napi::Env env, int64_t limit) {
  return Napi::Number::New(env, limit == kUnlimited ? INFINITY : static_cast<double>(limit));
}

/// `configure(settings)` → the settings of the process; those that are absent stay as they are.
Napi::Value configure(const Napi::CallbackInfo& info) {
  const Fields fields(info[0]);
  Executor& executor = Executor::instance();
  Executor::Limits limits = executor.limits();
  if (fields.has("concurrency")) limits.concurrency = limitOf(fields, "concurrency");
  if (fields.has("maxQueue")) limits.maxQueue = limitOf(fields, "maxQueue");
  executor.setLimits(limits);
  if (fields.has("memoryLimit")) setMemoryLimit(limitOf(fields, "memoryLimit"));
  if (fields.has("threads")) setDefaultThreads(static_cast<int>(fields.integer("threads")));
  const auto result = Napi::Object::New(info.Env());
  result.Set("concurrency", limitOf(info.Env(), limits.concurrency));
  result.Set("maxQueue", limitOf(info.Env(), limits.maxQueue));
  result.Set("memoryLimit", limitOf(info.Env(), memoryLimit()));
  result.Set("threads", defaultThreads());
  return result;
}

}  // namespace

void addSettings(Napi::Env env, Napi::Object exports) { add(env, exports, "configure", configure); }

}  // namespace tc::js
