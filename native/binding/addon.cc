#include "binding/js.h"
#include "binding/operation.h"
#include "binding/tensors.h"
#include "core/runtime/kernels.h"
#include "core/runtime/memory.h"
#include "core/runtime/threads.h"

namespace tc::js {
namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  defaultThreads();  // read before anything changes it
  keepFreedMemory();
  guardAllocations();
  chooseKernels();
  addInfo(env, exports);
  addTables(env, exports);
  addSettings(env, exports);
  addScheduling(env, exports);
  addProgram(env, exports);
  addProducts(env, exports);
  addTensors(env, exports);
  addLinearization(env, exports);
  addOperators(env, exports);
  addSolvers(env, exports);
  addKronecker(env, exports);
  addCallbackOperator(env, exports);
  addDistributed(env, exports);
  addRandom(env, exports);
  addProfiler(env, exports);
  addModelFiles(env, exports);
  return exports;
}

}  // namespace
}  // namespace tc::js

static Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  return tc::js::initialize(env, exports);
}

NODE_API_MODULE(torch_curvature, initialize)
