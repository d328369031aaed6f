#include "binding/program.h"

#include "binding/spec.h"
#include "core/runtime/error.h"

namespace tc::js {

void addProgram(Napi::Env env, Napi::Object exports) {
  add(env, exports, "createProgram", [](const Napi::CallbackInfo& info) {
    if (!info[0].IsObject()) throw Error("ERR_MODEL_LOAD", "a program should be an object");
    auto handle = std::make_shared<ProgramHandle>();
    handle->program = std::make_shared<const Program>(toSpec(info[0].As<Napi::Object>()));
    return wrap(info.Env(), std::move(handle));
  });
}

}  // namespace tc::js
