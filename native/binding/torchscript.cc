#include "core/torchscript.h"

#include "binding/convert.h"
#include "binding/spec.h"
#include "core/batch_sizes.h"
#include "core/error.h"

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

/// `freeBatch(program, inputs, float64)` → the program's nodes without the exported batch size.
Napi::Value freeBatchSizes(const Napi::CallbackInfo& info) {
  if (!info[0].IsObject() || !info[1].IsArray())
    throw Error("ERR_INVALID_ARGUMENT", "freeBatch takes a program and a list of inputs");
  ProgramSpec spec = toSpec(info[0].As<Napi::Object>());
  std::vector<at::Tensor> inputs;
  const auto list = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i)
    inputs.push_back(toTensor(Napi::Value(list[i]), Memory::kBorrow, "an input"));
  spec.nodes = freeBatch(spec, inputs, info[2].ToBoolean() ? at::kDouble : at::kFloat);
  spec.constants.clear();
  return toRawProgram(info.Env(), spec).Get("nodes");
}

}  // namespace

void addModelFiles(Napi::Env env, Napi::Object exports) {
  add(env, exports, "loadTorchScript", load);
  add(env, exports, "freeBatch", freeBatchSizes);
}

}  // namespace tc::js
