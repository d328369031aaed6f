#include "core/distributed/distributed.h"

#include <ATen/Version.h>

#include <utility>

#include "binding/handles.h"
#include "binding/operation.h"
#include "binding/request.h"
#include "core/distributed/stacked.h"
#include "core/operators/jacobian.h"
#include "core/runtime/error.h"
#include "core/runtime/threads.h"

namespace tc::js {
namespace {

Prepared join(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  Meeting meeting;
  meeting.backend = fields.text("backend");
  meeting.rank = static_cast<int>(fields.integer("rank"));
  meeting.worldSize = static_cast<int>(fields.integer("worldSize"));
  meeting.host = fields.text("host");
  meeting.port = static_cast<int>(fields.integer("port"));
  meeting.serves = fields.flag("serves");
  meeting.prefix = fields.text("prefix");
  meeting.timeout = std::chrono::milliseconds(fields.integer("timeout"));
  meeting.computers =
      at::get_cpu_capability() + " and " + std::to_string(defaultThreads()) + " threads by default";
  Prepared prepared;
  prepared.threads = 1;
  prepared.compute = [meeting](const StopToken& stop) {
    return Result::of(ProcessGroup::join(meeting, stop));
  };
  prepared.deliver = [](Napi::Env env, const Result& result, Napi::Value) {
    return wrapShare<GroupHandle>(env, result.as<ProcessGroupPtr>(), 0);
  };
  return prepared;
}

/// The sum over the ranks of an array, and of some numbers beside it.
Prepared sum(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  ProcessGroup::Contribution mine;
  mine.values = toFlat(fields.get("values"), Memory::kCopy, "values");
  mine.subject = fields.text("subject");
  if (const Napi::Value extras = fields.get("extras"); extras.IsArray()) {
    const auto list = extras.As<Napi::Array>();
    if (list.Length() > mine.extras.size())
      throw Error("ERR_INVALID_ARGUMENT", "there are more extras than there is room for");
    for (uint32_t i = 0; i < list.Length(); ++i)
      mine.extras[i] = Napi::Value(list[i]).ToNumber().DoubleValue();
  }
  Prepared prepared;
  prepared.threads = 1;
  prepared.compute = [group = groupOf(fields.get("group")), mine = std::move(mine)](
                         const StopToken& stop) { return Result::of(group->sum(mine, stop)); };
  prepared.deliver = [](Napi::Env env, const Result& result, Napi::Value) {
    const auto& total = result.as<ProcessGroup::Total>();
    auto record = Napi::Object::New(env);
    record.Set("values", toTypedArray(env, total.values));
    auto extras = Napi::Array::New(env, total.extras.size());
    for (uint32_t i = 0; i < total.extras.size(); ++i) extras.Set(i, total.extras[i]);
    record.Set("extras", extras);
    return record;
  };
  return prepared;
}

Prepared close(const Napi::CallbackInfo& info, Memory) {
  Prepared prepared;
  prepared.threads = 1;
  prepared.compute = [group = groupOf(Fields(info[0]).get("group"))](const StopToken& stop) {
    group->close(stop);
    return Result();
  };
  prepared.deliver = [](Napi::Env env, const Result&, Napi::Value) { return env.Undefined(); };
  return prepared;
}

}  // namespace

void addDistributed(Napi::Env env, Napi::Object exports) {
  addOperation(env, exports, "groupJoin", join);
  addOperation(env, exports, "groupSum", sum);
  addOperation(env, exports, "groupClose", close);
  add(env, exports, "groupLeave", [](const Napi::CallbackInfo& info) {
    groupOf(info[0])->leave(info[1].ToBoolean() ? Leaving::kFailed : Leaving::kStopped);
    return info.Env().Undefined();
  });
  add(env, exports, "groupRefuse", [](const Napi::CallbackInfo& info) {
    groupOf(info[0])->refuse(info[1].ToString().Utf8Value());
    return info.Env().Undefined();
  });
  add(env, exports, "groupDispose", [](const Napi::CallbackInfo& info) {
    unwrap<GroupHandle>(info[0], "group")->share.release();
    return info.Env().Undefined();
  });
  add(env, exports, "operatorDistributed", [](const Napi::CallbackInfo& info) {
    const OperatorPtr op = distributed(operatorOf(info[0]), groupOf(info[1]));
    return wrapShare<OperatorHandle>(info.Env(), op, 0);
  });
  add(env, exports, "operatorStacked", [](const Napi::CallbackInfo& info) {
    const Fields fields(info[0]);
    Stack stack;
    stack.outputShape = toShape(fields.get("outputShape"), "outputShape");
    stack.before = fields.integer("before");
    if (fields.has("weights"))
      stack.roots = toFlat(fields.get("weights"), Memory::kCopy, "weights").sqrt();
    OperatorPtr op =
        stacked(operatorOf(fields.get("operator")), std::move(stack), groupOf(fields.get("group")));
    if (fields.flag("kernel")) op = tangentKernel(op, fields.flag("trace"));
    return wrapShare<OperatorHandle>(info.Env(), op, 0);
  });
}

}  // namespace tc::js
