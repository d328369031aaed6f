#include <ATen/Version.h>
#include <torch/version.h>

#include <string>

#include "binding/js.h"
#include "core/runtime/device.h"
#include "core/runtime/executor.h"
#include "core/runtime/memory.h"
#include "core/runtime/threads.h"

namespace tc::js {
namespace {

/// The version of the libtorch that was loaded, which it states only in the description of its
/// build.
std::string runtimeVersion() {
  const std::string config = at::show_config();
  const std::string key = "TORCH_VERSION=";
  const auto at = config.find(key);
  if (at == std::string::npos) return "";
  const auto begin = at + key.size();
  return config.substr(begin, config.find_first_of(",; \n", begin) - begin);
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto result = Napi::Object::New(env);
  result.Set("libtorchVersion", runtimeVersion());
  result.Set("compiledVersion", TORCH_VERSION);
  result.Set("buildConfig", at::show_config());
  result.Set("cpuCapability", at::get_cpu_capability());
  result.Set("threads", defaultThreads());
  result.Set("cudaCompiled", cudaCompiled());
  const auto names = cudaDevices();
  const auto devices = Napi::Array::New(env, names.size());
  for (uint32_t i = 0; i < names.size(); ++i) devices.Set(i, names[i]);
  result.Set("cudaDevices", devices);
  const Executor::Counters counters = Executor::instance().counters();
  const auto count = [&](const char* name, int64_t value) {
    result.Set(name, Napi::Number::New(env, static_cast<double>(value)));
  };
  count("cores", availableCores());
  count("running", counters.running);
  count("queued", counters.queued);
  count("idleThreads", counters.idleThreads);
  count("bytesHeld", bytesHeld());
  return result;
}

}  // namespace

void addInfo(Napi::Env env, Napi::Object exports) {
  add(env, exports, "info", describe);
  add(env, exports, "availableMemory", [](const Napi::CallbackInfo& info) {
    const auto device = findDevice(info[0].ToString().Utf8Value());
    return Napi::Number::New(info.Env(), static_cast<double>(availableMemory(device)));
  });
}

}  // namespace tc::js
