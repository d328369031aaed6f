#include "binding/tensors.h"

#include "binding/handles.h"
#include "binding/operation.h"
#include "binding/request.h"
#include "core/runtime/device.h"
#include "core/runtime/transfer.h"

namespace tc::js {
namespace {

/// Copies data to where they are to stay.
Prepared hold(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  Prepared prepared;
  prepared.compute = [data = toTensor(fields.get("tensor"), Memory::kCopy, "data"),
                      device = findDevice(fields.text("device"))](const StopToken&) {
    return Result(toDevice(data, device));
  };
  prepared.deliver = [](Napi::Env env, const Result& result, Napi::Value) {
    const at::Tensor& tensor = result;
    return wrapShare<TensorHandle>(env, std::make_shared<const at::Tensor>(tensor),
                                   static_cast<int64_t>(tensor.nbytes()));
  };
  return prepared;
}

}  // namespace

void addTensors(Napi::Env env, Napi::Object exports) {
  addOperation(env, exports, "holdTensor", hold);
  add(env, exports, "tensorData", [](const Napi::CallbackInfo& info) {
    return toTypedArray(info.Env(), toHost(tensorOf(info[0])));
  });
  add(env, exports, "tensorDispose", [](const Napi::CallbackInfo& info) {
    unwrap<TensorHandle>(info[0], "tensor")->share.release();
    return info.Env().Undefined();
  });
}

}  // namespace tc::js
