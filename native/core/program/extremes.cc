#include "core/program/extremes.h"

#include <ATen/TensorOperators.h>
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/TensorWrapper.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/stack.h>
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
      // Of an index that was expanded, one copy of each number.
      for (int64_t axis = x.dim(); axis-- > 0;) {
        if (x.stride(axis) == 0 && x.size(axis) > 1) x = x.select(axis, 0);
      }
      const auto [least, largest] = at::aminmax(x);
      // Together, as on a GPU each number is waited for.
      const at::Tensor both = at::stack({least, largest}).to(at::kCPU, at::kLong);
      return {both[0].item<int64_t>(), both[1].item<int64_t>()};
    }
  }
}

}  // namespace tc
