#include "binding/handles.h"
#include "binding/operation.h"
#include "binding/problem.h"

#include "core/runtime/error.h"
#include "core/runtime/transfer.h"

namespace tc::js {
namespace {

Prepared linearize(const Napi::CallbackInfo& info, Memory) {
  Request request = takeRequest(info, Memory::kCopy);  // what it keeps outlives the call
  request.prepared.compute = [point = request.point, device = request.device,
                              options = chunkOptions(request.fields)](const StopToken& stop) {
    return Result::of(std::make_shared<ChunkedLinearization>(placed(point, device), options, stop));
  };
  request.prepared.deliver = [](Napi::Env env, const Result& result, Napi::Value) {
    const auto& linearization = result.as<std::shared_ptr<ChunkedLinearization>>();
    return wrapShare<LinearizationHandle>(env, linearization, linearization->bytes());
  };
  return explained(std::move(request));
}

at::Tensor vectorLike(const Fields& fields, const at::Tensor& like, Memory memory) {
  const at::Tensor vector = toFlat(fields.get("v"), memory, "v");
  if (vector.numel() != like.numel()) {
    throw Error("ERR_SHAPE_MISMATCH", "v should have " + std::to_string(like.numel()) +
                                          " elements, got " + std::to_string(vector.numel()));
  }
  if (vector.scalar_type() != like.scalar_type())
    throw Error("ERR_DTYPE_MISMATCH", "v should have the precision of params");
  return vector.view(like.sizes());
}

Prepared apply(const Napi::CallbackInfo& info, Memory memory) {
  const Fields fields(info[0]);
  const auto linearization = linearizationOf(fields.get("linearization"));
  const std::string product = fields.text("product");
  const at::Tensor& like =
      product == "vjp" ? linearization->output() : linearization->point().params;
  const at::Tensor v = vectorLike(fields, like, memory);
  const auto device = like.device();
  Prepared prepared;
  prepared.threads = static_cast<int>(fields.integer("threads"));
  if (const Napi::Value out = fields.get("out"); out.IsTypedArray()) prepared.out = out;
  prepared.compute = [linearization, product, v, device](const StopToken& stop) -> Result {
    const at::Tensor here = toDevice(v, device);
    if (product == "jvp") return toHost(linearization->jvp(here, stop));
    if (product == "vjp") return toHost(linearization->vjp(here, stop));
    if (product == "matvec") return toHost(linearization->matvec(here, stop));
    throw Error("ERR_INVALID_ARGUMENT", "product should be 'jvp', 'vjp' or 'matvec'");
  };
  prepared.deliver = toTypedArray;
  return prepared;
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  const auto& linearization = linearizationOf(info[0]);
  auto result = Napi::Object::New(info.Env());
  const auto& y = linearization->output();
  auto shape = Napi::Array::New(info.Env(), static_cast<size_t>(y.dim()));
  for (int64_t i = 0; i < y.dim(); ++i)
    shape.Set(static_cast<uint32_t>(i), static_cast<double>(y.size(i)));
  result.Set("outputShape", shape);
  result.Set("parameterCount", static_cast<double>(linearization->parameters()));
  result.Set("float64", linearization->point().params.scalar_type() == at::kDouble);
  result.Set("device", y.device().str());
  result.Set("bytes", static_cast<double>(linearization->bytes()));
  result.Set("engine", linearization->engine());
  result.Set("chunks", static_cast<double>(linearization->size()));
  result.Set("keptChunks", static_cast<double>(linearization->kept()));
  return result;
}

}  // namespace

void addLinearization(Napi::Env env, Napi::Object exports) {
  addOperation(env, exports, "linearize", linearize);
  addOperation(env, exports, "linearizationApply", apply);
  add(env, exports, "linearizationInfo", describe);
  add(env, exports, "linearizationOutput", [](const Napi::CallbackInfo& info) {
    return toRecord(info.Env(), linearizationOf(info[0])->output());
  });
  add(env, exports, "linearizationDispose", [](const Napi::CallbackInfo& info) {
    unwrap<LinearizationHandle>(info[0], "linearization")->share.release();
    return info.Env().Undefined();
  });
}

}  // namespace tc::js
