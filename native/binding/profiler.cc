#include <memory>
#include <utility>

#include "binding/convert.h"
#include "binding/js.h"
#include "binding/share.h"
#include "core/profiler/session.h"
#include "core/runtime/error.h"

namespace tc::js {
namespace {

/// The profile that an environment records. It goes with the functions below, which Node frees on
/// the environment's thread after the clean-up hooks, that is, when no operation is in flight: so
/// an environment that ends while it records drops its recording and makes room for others.
struct Profiling {
  std::unique_ptr<ProfilerSession> session;
};

struct RegionHandle {
  static constexpr napi_type_tag kTypeTag = {0x2f8e6d0b91c34a75, 0xb7d15c3e40a98f26};
  std::shared_ptr<ProfilerRegion> region;  ///< null when nothing was recorded
};

ProfilerOptions toOptions(const Napi::Object& given) {
  const auto flag = [&](const char* name) { return given.Get(name).ToBoolean().Value(); };
  return {flag("cpu"), flag("cuda"), flag("recordShapes"), flag("profileMemory"),
          flag("withFlops")};
}

Napi::Array toShapes(Napi::Env env, const std::vector<std::vector<int64_t>>& shapes) {
  auto result = Napi::Array::New(env, shapes.size());
  for (size_t i = 0; i < shapes.size(); ++i) {
    auto shape = Napi::Array::New(env, shapes[i].size());
    for (size_t axis = 0; axis < shapes[i].size(); ++axis)
      shape.Set(axis, Napi::Number::New(env, static_cast<double>(shapes[i][axis])));
    result.Set(i, shape);
  }
  return result;
}

Napi::Object toRow(Napi::Env env, const ProfileRow& row, bool withShapes) {
  auto result = Napi::Object::New(env);
  const auto number = [&](const char* name, auto value) {
    result.Set(name, Napi::Number::New(env, static_cast<double>(value)));
  };
  result.Set("name", Napi::String::New(env, row.name));
  number("count", row.count);
  number("selfCpuTimeTotal", row.selfCpuTimeTotal);
  number("cpuTimeTotal", row.cpuTimeTotal);
  number("selfDeviceTimeTotal", row.selfDeviceTimeTotal);
  number("deviceTimeTotal", row.deviceTimeTotal);
  number("cpuMemoryUsage", row.cpuMemoryUsage);
  number("selfCpuMemoryUsage", row.selfCpuMemoryUsage);
  number("deviceMemoryUsage", row.deviceMemoryUsage);
  number("selfDeviceMemoryUsage", row.selfDeviceMemoryUsage);
  number("flops", row.flops);
  if (withShapes) result.Set("inputShapes", toShapes(env, row.inputShapes));
  result.Set("onDevice", Napi::Boolean::New(env, row.onDevice));
  result.Set("annotation", Napi::Boolean::New(env, row.annotation));
  return result;
}

Napi::Object toEvent(Napi::Env env, const ProfileEvent& event, bool withShapes) {
  auto result = Napi::Object::New(env);
  const auto number = [&](const char* name, auto value) {
    result.Set(name, Napi::Number::New(env, static_cast<double>(value)));
  };
  result.Set("name", Napi::String::New(env, event.name));
  number("startTime", event.start);
  number("endTime", event.end);
  number("thread", event.thread);
  number("parent", event.parent);
  number("cpuTimeTotal", event.cpuTime);
  number("selfCpuTimeTotal", event.selfCpuTime);
  number("deviceTimeTotal", event.deviceTime);
  number("selfDeviceTimeTotal", event.selfDeviceTime);
  number("cpuMemoryUsage", event.cpuMemory);
  number("selfCpuMemoryUsage", event.selfCpuMemory);
  number("deviceMemoryUsage", event.deviceMemory);
  number("selfDeviceMemoryUsage", event.selfDeviceMemory);
  number("flops", event.flops);
  number("executedFlops", event.executedFlops);
  const auto flag = [&](const char* name, bool value) {
    result.Set(name, Napi::Boolean::New(env, value));
  };
  flag("onDevice", event.onDevice);
  flag("annotation", event.annotation);
  flag("async", event.async);
  flag("helper", event.helper);
  if (event.parameters >= 0) number("parameterCount", event.parameters);
  if (event.batch >= 0) number("batch", event.batch);
  if (!event.engine.empty()) result.Set("engine", Napi::String::New(env, event.engine));
  if (withShapes) result.Set("inputShapes", toShapes(env, event.inputShapes));
  return result;
}

/// What an event keeps, here and in libtorch, with its names and shapes; by measurement.
constexpr int64_t kBytesPerEvent = 2048;

Napi::Object toRecord(Napi::Env env, Profile profile, bool withShapes) {
  auto rows = Napi::Array::New(env, profile.rows.size());
  for (size_t i = 0; i < profile.rows.size(); ++i)
    rows.Set(i, toRow(env, profile.rows[i], withShapes));
  auto result = Napi::Object::New(env);
  result.Set("rows", rows);
  result.Set("selfCpuTimeTotal", Napi::Number::New(env, profile.selfCpuTimeTotal));
  result.Set("selfDeviceTimeTotal", Napi::Number::New(env, profile.selfDeviceTimeTotal));
  result.Set("peakMemory", Napi::Number::New(env, static_cast<double>(profile.peakMemory)));
  const auto bytes = static_cast<int64_t>(profile.events.size()) * kBytesPerEvent;
  const auto share = std::make_shared<Share<const Profile>>(
      env, std::make_shared<const Profile>(std::move(profile)), bytes);
  add(env, result, "events", [share, withShapes](const Napi::CallbackInfo& info) {
    const auto& events = share->get("the profile")->events;
    auto list = Napi::Array::New(info.Env(), events.size());
    for (size_t i = 0; i < events.size(); ++i)
      list.Set(i, toEvent(info.Env(), events[i], withShapes));
    return list;
  });
  add(env, result, "save", [share](const Napi::CallbackInfo& info) {
    share->get("the profile")->save(info[0].ToString().Utf8Value());
    return info.Env().Undefined();
  });
  share->setOwner(result);
  return result;
}

}  // namespace

void addProfiler(Napi::Env env, Napi::Object exports) {
  const auto profiling = std::make_shared<Profiling>();

  add(env, exports, "profilerStart", [profiling](const Napi::CallbackInfo& info) {
    profiling->session = std::make_unique<ProfilerSession>(toOptions(info[0].As<Napi::Object>()));
    return info.Env().Undefined();
  });
  add(env, exports, "profilerStop", [profiling](const Napi::CallbackInfo& info) {
    const auto session = std::move(profiling->session);
    if (!session) throw Error("ERR_INVALID_ARGUMENT", "no profile is being recorded");
    return toRecord(info.Env(), session->stop(), session->options().recordShapes);
  });
  add(env, exports, "regionEnter", [profiling](const Napi::CallbackInfo& info) {
    auto handle = std::make_shared<RegionHandle>();
    if (profiling->session)
      handle->region = profiling->session->enter(info[0].ToString().Utf8Value());
    return wrap(info.Env(), std::move(handle));
  });
  add(env, exports, "regionExit", [](const Napi::CallbackInfo& info) {
    const auto& handle = unwrap<RegionHandle>(info[0], "region");
    const bool async = info[1].ToBoolean().Value();
    if (handle->region) handle->region->end(async);
    return info.Env().Undefined();
  });
}

}  // namespace tc::js
