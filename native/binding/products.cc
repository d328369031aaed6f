#include "binding/operation.h"
#include "binding/request.h"
#include "core/linearization/engine.h"
#include "core/linearization/rows.h"
#include "core/products/dense.h"
#include "core/products/forward.h"
#include "core/products/on_the_fly.h"
#include "core/program/program.h"
#include "core/runtime/transfer.h"

namespace tc::js {
namespace {

Prepared forward(const Napi::CallbackInfo& info, Memory memory) {
  Request request = takeRequest(info, memory);
  request.prepared.compute = [point = request.point, device = request.device,
                              chunkSize = request.chunkSize](const StopToken& stop) {
    return toHost(forwardPass(placed(point, device), chunkSize, stop));
  };
  request.prepared.deliver = [](Napi::Env env, const at::Tensor& y, Napi::Value) {
    return toRecord(env, y);
  };
  return explained(std::move(request));
}

Prepared matvecOnTheFly(const Napi::CallbackInfo& info, Memory memory) {
  Request request = takeRequest(info, memory);
  const at::Tensor v = vectorOf(request, "v", memory);
  request.prepared.compute = [point = request.point, device = request.device, v,
                              engine = findEngine(request.fields.text("engine")),
                              chunkSize = request.chunkSize,
                              cut = request.cut](const StopToken& stop) {
    const Point here = placed(point, device);
    if (cut) requireIndependentRows(here, stop);
    return toHost(tc::matvecOnTheFly(here, toDevice(v, device), engine, chunkSize, stop));
  };
  request.prepared.deliver = toTypedArray;
  return explained(std::move(request));
}

Prepared matvecDense(const Napi::CallbackInfo& info, Memory memory) {
  Request request = takeRequest(info, memory);
  const at::Tensor v = vectorOf(request, "v", memory);
  const bool jacobian = request.fields.text("strategy") == "jacobian";
  const auto strategy = jacobian ? DenseStrategy::kJacobian : DenseStrategy::kGram;
  request.prepared.compute = [point = request.point, device = request.device, v, strategy,
                              engine = findEngine(request.fields.text("engine")),
                              chunkSize = request.chunkSize](const StopToken& stop) {
    return toHost(tc::matvecDense(placed(point, device), toDevice(v, device), strategy, engine,
                                  chunkSize, stop));
  };
  request.prepared.deliver = toTypedArray;
  return explained(std::move(request));
}

}  // namespace

void addProducts(Napi::Env env, Napi::Object exports) {
  addOperation(env, exports, "forward", forward);
  addOperation(env, exports, "matvecOnTheFly", matvecOnTheFly);
  addOperation(env, exports, "matvecDense", matvecDense);
}

}  // namespace tc::js
