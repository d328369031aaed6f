#include "core/linearization/autograd/differentiable_kernels.h"

#include <ATen/Context.h>

#include <mutex>
#include <string_view>

#include "core/program/program.h"

namespace tc {
namespace {

std::mutex mutex;

/// Switches that are off while somebody uses them.
template <size_t N>
struct Switches {
  struct Switch {
    bool (at::Context::*get)() const;
    void (at::Context::*set)(bool);
    bool before = false;
  };
  Switch switches[N];
  int users = 0;

  void acquire() {
    const std::lock_guard lock(mutex);
    if (users++ > 0) return;
    for (Switch& one : switches) {
      one.before = (at::globalContext().*one.get)();
      (at::globalContext().*one.set)(false);
    }
  }
  void release() {
    const std::lock_guard lock(mutex);
    if (--users > 0) return;
    for (const Switch& one : switches) (at::globalContext().*one.set)(one.before);
  }
};

Switches<3> attention = {{
    {&at::Context::userEnabledFlashSDP, &at::Context::setSDPUseFlash},
    {&at::Context::userEnabledMemEfficientSDP, &at::Context::setSDPUseMemEfficient},
    {&at::Context::userEnabledCuDNNSDP, &at::Context::setSDPUseCuDNN},
}};
Switches<2> recurrent = {{
    {&at::Context::userEnabledMkldnn, &at::Context::setUserEnabledMkldnn},
    {&at::Context::userEnabledCuDNN, &at::Context::setUserEnabledCuDNN},
}};

}  // namespace

DifferentiableKernels::DifferentiableKernels(const Program& program) {
  for (const auto& node : program.nodes()) consider(node.op);
  acquire();
}

DifferentiableKernels::DifferentiableKernels(const c10::OperatorHandle& op) {
  consider(op);
  acquire();
}

void DifferentiableKernels::consider(const c10::OperatorHandle& op) {
  const std::string_view name = op.schema().name();
  attention_ = attention_ || name == "aten::scaled_dot_product_attention";
  recurrent_ = recurrent_ || name == "aten::lstm" || name == "aten::gru" ||
               name == "aten::rnn_tanh" || name == "aten::rnn_relu";
}

void DifferentiableKernels::acquire() const {
  if (attention_) attention.acquire();
  if (recurrent_) recurrent.acquire();
}

DifferentiableKernels::~DifferentiableKernels() {
  if (attention_) attention.release();
  if (recurrent_) recurrent.release();
}

}  // namespace tc
