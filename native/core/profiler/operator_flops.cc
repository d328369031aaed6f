#include "core/profiler/operator_flops.h"

#include <ATen/record_function.h>

#include <memory>
#include <utility>

#include "core/profiler/flops.h"
#include "core/profiler/meter.h"

namespace tc::profiling {
namespace {

/// A call of an operator, from its start to its end on one thread.
struct Call final : at::ObserverContext {
  uint64_t flops = 0;   ///< of this call alone
  uint64_t within = 0;  ///< of calls and stages within it
  uint64_t stages = 0;  ///< of stages alone
  Call* outer = nullptr;
};

thread_local Call* innermost = nullptr;

bool runsElsewhere(const at::RecordFunction& function) {
  for (const c10::IValue& input : function.inputs()) {
    if (input.isTensor() && input.toTensor().defined() && !input.toTensor().is_cpu()) return true;
  }
  return false;
}

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
  Meter* const meter = Meter::current();
  if (meter == nullptr) return nullptr;
  if (runsElsewhere(function)) meter->ranElsewhere();
  auto call = std::make_unique<Call>();
  call->flops = flopsOf(function);
  call->outer = std::exchange(innermost, call.get());
  return call;
}

void end(const at::RecordFunction&, at::ObserverContext* context) {
  if (context == nullptr) return;
  const auto& call = *static_cast<Call*>(context);
  innermost = call.outer;
  const uint64_t sum =
      countsForAll(call.flops, call.within) ? call.flops + call.stages : call.within;
  if (call.outer != nullptr) {
    call.outer->within += sum;
    call.outer->stages += call.stages;
  } else if (Meter* const meter = Meter::current(); meter != nullptr) {
    meter->count(static_cast<int64_t>(sum));
  }
}

}  // namespace

void countStage(Meter& meter, int64_t flops) {
  if (innermost != nullptr) {
    innermost->within += static_cast<uint64_t>(flops);
    innermost->stages += static_cast<uint64_t>(flops);
  } else {
    meter.count(flops);
  }
}

OperatorFlops::OperatorFlops() {
  if (Meter::current() == nullptr) return;
  handle_ = at::addThreadLocalCallback(
      at::RecordFunctionCallback(begin, end).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
}

OperatorFlops::~OperatorFlops() {
  if (handle_ != 0) at::removeCallback(handle_);
}

}  // namespace tc::profiling
