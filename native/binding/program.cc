#include "binding/program.h"

#include <string>
#include <utility>
#include <vector>

#include "binding/operation.h"
#include "binding/request.h"
#include "binding/spec.h"
#include "core/program/program.h"
#include "core/runtime/error.h"

namespace tc::js {
namespace {

/// A description on its way from JavaScript, piece by piece, so that a large one does not hold up
/// the event loop. Used on JavaScript's thread only.
struct Draft {
  static constexpr napi_type_tag kTypeTag = {0x51c7a0e94bd24f83, 0x8e30b6d1f7a94c25};
  ProgramSpec spec;
};

Napi::Value draft(const Napi::CallbackInfo& info) {
  if (!info[0].IsObject()) throw Error("ERR_MODEL_LOAD", "a program should be an object");
  return wrap(info.Env(), std::make_shared<Draft>(Draft{toSpec(info[0].As<Napi::Object>())}));
}

Napi::Value addNodes(const Napi::CallbackInfo& info) {
  appendNodes(unwrap<Draft>(info[0], "draft")->spec, info[1]);
  return info.Env().Undefined();
}

Prepared create(const Napi::CallbackInfo& info, Memory) {
  // Taken, not copied: a draft is for one program.
  const auto spec = std::make_shared<ProgramSpec>(
      std::exchange(unwrap<Draft>(Fields(info[0]).get("draft"), "draft")->spec, {}));
  Prepared prepared;
  prepared.threads = 1;
  prepared.compute = [spec](const StopToken&) {
    return Result::of(std::make_shared<const Program>(*spec));
  };
  prepared.deliver = [](Napi::Env env, const Result& result, Napi::Value) {
    return programRecord(env, result.as<std::shared_ptr<const Program>>());
  };
  return prepared;
}

/// `{ name, dtype, shape }` for each.
Napi::Array portList(Napi::Env env, const std::vector<ProgramSpec::Port>& ports) {
  const auto list = Napi::Array::New(env, ports.size());
  for (uint32_t i = 0; i < ports.size(); ++i) {
    const auto& [name, dtype, axes] = ports[i];
    const auto shape = Napi::Array::New(env, axes.size());
    for (uint32_t axis = 0; axis < axes.size(); ++axis) {
      if (const auto* symbol = std::get_if<std::string>(&axes[axis])) {
        shape.Set(axis, *symbol);
      } else {
        shape.Set(axis, static_cast<double>(std::get<int64_t>(axes[axis])));
      }
    }
    const auto port = Napi::Object::New(env);
    port.Set("name", name);
    if (dtype) port.Set("dtype", std::string(c10::getDtypeNames(*dtype).first));
    port.Set("shape", shape);
    list.Set(i, port);
  }
  return list;
}

}  // namespace

Napi::Object programRecord(Napi::Env env, std::shared_ptr<const Program> program) {
  const auto number = [&](int64_t value) {
    return Napi::Number::New(env, static_cast<double>(value));
  };
  const auto& parameters = program->parameters();
  const auto list = Napi::Array::New(env, parameters.size());
  for (uint32_t i = 0; i < parameters.size(); ++i) {
    const auto& [name, sizes, offset, length] = parameters[i];
    const auto shape = Napi::Array::New(env, sizes.size());
    for (uint32_t axis = 0; axis < sizes.size(); ++axis) shape.Set(axis, number(sizes[axis]));
    const auto parameter = Napi::Object::New(env);
    parameter.Set("name", name);
    parameter.Set("shape", shape);
    list.Set(i, parameter);
  }
  const auto record = Napi::Object::New(env);
  record.Set("parameters", list);
  record.Set("inputs", portList(env, program->inputs()));
  record.Set("outputs", portList(env, program->outputs()));
  if (const auto batch = program->fixedBatch()) record.Set("batch", number(*batch));
  auto handle = std::make_shared<ProgramHandle>();
  handle->program = std::move(program);
  record.Set("handle", wrap(env, std::move(handle)));
  return record;
}

void addProgram(Napi::Env env, Napi::Object exports) {
  add(env, exports, "draftProgram", draft);
  add(env, exports, "draftNodes", addNodes);
  addOperation(env, exports, "createProgram", create);
}

}  // namespace tc::js
