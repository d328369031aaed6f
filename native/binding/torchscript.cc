#include "core/program/torchscript/torchscript.h"

#include "binding/convert.h"
#include "binding/spec.h"
#include "core/runtime/error.h"

namespace tc::js {
namespace {

/// `loadTorchScript(bytes)` → `{ program, parameters, frozen }`: the raw program, the values of its
/// parameters, flat, and the names of those that are constants.
Napi::Value load(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray())
    throw Error("ERR_INVALID_ARGUMENT", "a model file should be a Uint8Array");
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const TorchScriptModel model = loadTorchScript(bytes.Data(), bytes.ByteLength());
  const auto result = Napi::Object::New(info.Env());
  result.Set("program", toRawProgram(info.Env(), model.spec));
  result.Set("parameters", toTypedArray(info.Env(), model.parameters));
  const auto frozen = Napi::Array::New(info.Env(), model.frozen.size());
  for (uint32_t i = 0; i < model.frozen.size(); ++i) frozen.Set(i, model.frozen[i]);
  result.Set("frozen", frozen);
  return result;
}

}  // namespace

void addModelFiles(Napi::Env env, Napi::Object exports) {
  add(env, exports, "loadTorchScript", load);
}

}  // namespace tc::js
