#include "core/program/extremes.h"

#include <ATen/TensorOperators.h>
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/TensorWrapper.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace tc {

namespace functorch = at::functorch;

std::pair<int64_t, int64_t> extremes(at::Tensor x) {
  const c10::impl::ExcludeDispatchKeyGuard plain(
      c10::DispatchKeySet({c10::DispatchKey::FuncTorchDynamicLayerFrontMode,
                           c10::DispatchKey::FuncTorchDynamicLayerBackMode}));
  for (;;) {
    if (const auto* wrapper = functorch::maybeGetTensorWrapper(x)) {
      x = wrapper->value();
    } else if (const auto* batched = functorch::maybeGetBatchedImpl(x)) {
      x = batched->value();
    } else {
      return {x.min().item<int64_t>(), x.max().item<int64_t>()};
    }
  }
}

}  // namespace tc
