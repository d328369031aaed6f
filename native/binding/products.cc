#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>

#include "binding/operation.h"
#include "binding/program.h"
#include "core/device.h"
#include "core/error.h"
#include "core/products/dense.h"
#include "core/products/on_the_fly.h"

namespace tc::js {
namespace {

/// What every operation at a point has in common.
struct Request {
  Point point;
  Napi::Object fields;
  c10::Device device;
  int64_t chunkSize;
  Prepared prepared;
};

/// The flat vector in `field`, of the length and precision of the parameters.
at::Tensor vectorOf(const Request& request, const char* field, Memory memory) {
  const at::Tensor vector = toFlat(request.fields.Get(field), memory, field);
  if (vector.numel() != request.point.params.numel()) {
    throw Error("ERR_SHAPE_MISMATCH",
                std::string(field) + " should have as many elements as params");
  }
  if (vector.scalar_type() != request.point.params.scalar_type()) {
    throw Error("ERR_DTYPE_MISMATCH",
                std::string(field) + " should be the same kind of array as params");
  }
  return vector;
}

Request takeRequest(const Napi::CallbackInfo& info, Memory memory) {
  if (!info[0].IsObject()) throw Error("ERR_INVALID_ARGUMENT", "the request should be an object");
  const auto fields = info[0].As<Napi::Object>();
  Request request{{},
                  fields,
                  findDevice(fields.Get("device").ToString().Utf8Value()),
                  fields.Get("chunkSize").ToNumber().Int64Value(),
                  {}};
  request.point.program = unwrap<ProgramHandle>(fields.Get("program"), "program")->program;
  request.point.params = toFlat(fields.Get("params"), memory, "params");
  if (request.point.params.numel() != request.point.program->parameterCount()) {
    throw Error("ERR_SHAPE_MISMATCH",
                "params should have one element for each of the model's parameters");
  }
  if (!request.point.params.is_floating_point()) {
    throw Error("ERR_DTYPE_MISMATCH", "params should be a Float32Array or a Float64Array");
  }
  const Napi::Value inputs = fields.Get("inputs");
  if (!inputs.IsArray()) throw Error("ERR_INVALID_ARGUMENT", "inputs should be a list");
  const auto list = inputs.As<Napi::Array>();
  if (list.Length() != request.point.program->inputCount()) {
    throw Error("ERR_SHAPE_MISMATCH", "the model takes another number of inputs");
  }
  for (uint32_t i = 0; i < list.Length(); ++i) {
    request.point.inputs.push_back(toTensor(Napi::Value(list[i]), memory, "x"));
    const at::Tensor& input = request.point.inputs.back();
    if (input.dim() == 0 || input.size(0) != request.point.inputs.front().size(0)) {
      throw Error("ERR_SHAPE_MISMATCH", "the first axis of every input should be the batch");
    }
  }
  request.prepared.threads = fields.Get("threads").ToNumber().Int32Value();
  if (const Napi::Value out = fields.Get("out"); out.IsTypedArray()) request.prepared.out = out;
  return request;
}

Prepared forward(const Napi::CallbackInfo& info, Memory memory) {
  Request request = takeRequest(info, memory);
  request.prepared.compute = [point = std::move(request.point), device = request.device,
                              chunkSize = request.chunkSize](const StopToken& stop) {
    const c10::NoGradGuard noGradients;
    const Point here = placed(point, device);
    const auto parameters = here.program->unflatten(here.params);
    if (here.batch() == 0) return here.program->run(parameters, here.inputs, here.constants);
    std::vector<at::Tensor> parts;
    forEachChunk(here.batch(), chunkSize, stop, [&](int64_t begin, int64_t end) {
      parts.push_back(here.program->run(parameters, rows(here.inputs, begin, end), here.constants));
    });
    return parts.size() == 1 ? parts.front() : at::cat(parts);
  };
  request.prepared.deliver = [](Napi::Env env, const at::Tensor& y, Napi::Value) {
    return toRecord(env, y);
  };
  return std::move(request.prepared);
}

Prepared matvecOnTheFly(const Napi::CallbackInfo& info, Memory memory) {
  Request request = takeRequest(info, memory);
  const at::Tensor v = vectorOf(request, "v", memory);
  request.prepared.compute = [point = std::move(request.point), device = request.device, v,
                              chunkSize = request.chunkSize](const StopToken& stop) {
    return tc::matvecOnTheFly(placed(point, device), v.to(device), chunkSize, stop).cpu();
  };
  request.prepared.deliver = toTypedArray;
  return std::move(request.prepared);
}

Prepared matvecDense(const Napi::CallbackInfo& info, Memory memory) {
  Request request = takeRequest(info, memory);
  const at::Tensor v = vectorOf(request, "v", memory);
  const bool jacobian = request.fields.Get("strategy").ToString().Utf8Value() == "jacobian";
  const auto strategy = jacobian ? DenseStrategy::kJacobian : DenseStrategy::kGram;
  request.prepared.compute = [point = std::move(request.point), device = request.device, v,
                              strategy, chunkSize = request.chunkSize](const StopToken& stop) {
    return tc::matvecDense(placed(point, device), v.to(device), strategy, chunkSize, stop).cpu();
  };
  request.prepared.deliver = toTypedArray;
  return std::move(request.prepared);
}

}  // namespace

void addProducts(Napi::Env env, Napi::Object exports) {
  addOperation(env, exports, "forward", forward);
  addOperation(env, exports, "matvecOnTheFly", matvecOnTheFly);
  addOperation(env, exports, "matvecDense", matvecDense);
}

}  // namespace tc::js
