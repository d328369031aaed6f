#include "binding/program.h"

#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include "binding/spec.h"
#include "core/error.h"

namespace tc::js {
namespace {

/// Runs one row of zeros through the program: the shape check that holds for any operator on any
/// device.
Napi::Value outputShape(const Napi::CallbackInfo& info) {
  const auto& handle = unwrap<ProgramHandle>(info[0], "program");
  const auto& program = *handle->program;
  const auto dtype = info[2].ToBoolean() ? at::kDouble : at::kFloat;
  Point point{handle->program, at::zeros({program.parameterCount()}, dtype), {}, {}};
  const auto inputs = info[1].As<Napi::Array>();
  int64_t batch = 0;
  for (uint32_t i = 0; i < inputs.Length(); ++i) {
    const auto input = Napi::Value(inputs[i]).As<Napi::Object>();
    auto shape = toShape(input.Get("shape"), "x");
    if (shape.empty()) throw Error("ERR_SHAPE_MISMATCH", "x has no batch axis");
    batch = shape[0];
    shape[0] = 1;
    const auto kind = toFlat(input.Get("data"), Memory::kBorrow, "x").scalar_type();
    point.inputs.push_back(at::zeros(shape, kind));
  }
  point = placed(std::move(point), c10::Device(c10::kCPU));
  std::vector<int64_t> shape;
  try {
    const c10::NoGradGuard noGradients;
    shape =
        program.run(program.unflatten(point.params), point.inputs, point.constants).sizes().vec();
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::NotImplementedError&) {
    throw;
  } catch (const c10::Error& error) {
    const std::string whole = error.what_without_backtrace();
    const std::string message = whole.substr(0, whole.find('\n'));
    // libtorch has no error of its own for this.
    const bool ofDtype = message.find("dtype") != std::string::npos ||
                         message.find("scalar type") != std::string::npos;
    throw Error(ofDtype ? "ERR_DTYPE_MISMATCH" : "ERR_SHAPE_MISMATCH",
                "x does not fit the model: " + message);
  }
  if (shape.empty() || shape[0] != 1) {
    throw Error("ERR_SHAPE_MISMATCH", "the first axis of the model's output is not the batch");
  }
  shape[0] = batch;
  const auto result = Napi::Array::New(info.Env(), shape.size());
  for (uint32_t i = 0; i < shape.size(); ++i)
    result.Set(i, Napi::Number::New(info.Env(), static_cast<double>(shape[i])));
  return result;
}

}  // namespace

void addProgram(Napi::Env env, Napi::Object exports) {
  add(env, exports, "createProgram", [](const Napi::CallbackInfo& info) {
    if (!info[0].IsObject()) throw Error("ERR_MODEL_LOAD", "a program should be an object");
    auto handle = std::make_shared<ProgramHandle>();
    handle->program = std::make_shared<const Program>(toSpec(info[0].As<Napi::Object>()));
    return wrap(info.Env(), std::move(handle));
  });
  add(env, exports, "outputShape", outputShape);
}

}  // namespace tc::js
