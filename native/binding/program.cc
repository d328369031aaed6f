#include "binding/program.h"

#include "binding/spec.h"
#include "core/error.h"
#include "core/rows.h"

namespace tc::js {

void addProgram(Napi::Env env, Napi::Object exports) {
  add(env, exports, "createProgram", [](const Napi::CallbackInfo& info) {
    if (!info[0].IsObject()) throw Error("ERR_MODEL_LOAD", "a program should be an object");
    auto handle = std::make_shared<ProgramHandle>();
    const auto object = info[0].As<Napi::Object>();
    const Napi::Value batch = object.Get("batch");
    handle->program = batch.IsNumber()
                          ? programFor(toSpec(object), batch.As<Napi::Number>().Int64Value(),
                                       toShape(object.Get("rowShape"), "rowShape"))
                          : std::make_shared<const Program>(toSpec(object));
    return wrap(info.Env(), std::move(handle));
  });
}

}  // namespace tc::js
