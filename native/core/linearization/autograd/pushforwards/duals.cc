#include <ATen/ops/_make_dual.h>
#include <ATen/ops/_unpack_dual.h>

#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/pushforwards/pushforward.h"

namespace tc {

at::Tensor makeDual(const at::Tensor& primal, const at::Tensor& tangent, const DualLevel& level) {
  // libtorch lays the tangent out like the primal, which must not be expanded for that.
  const bool dense = primal.is_non_overlapping_and_dense();
  return at::_make_dual(dense ? primal : primal.contiguous(), tangent, level.index());
}

Pushforward withDuals(const Call& call) {
  return [again = Replaced(call), op = call.op, active = call.active](const Tangents& tangents) {
    const DifferentiableKernels kernels(op);
    const DualLevel level;
    std::vector<at::Tensor> duals;
    duals.reserve(active.size());
    for (size_t i = 0; i < active.size(); ++i)
      duals.push_back(makeDual(active[i].primal, tangents[i], level));
    Tangents results = again.call(active, duals);
    for (at::Tensor& result : results) {
      if (result.defined()) result = std::get<1>(at::_unpack_dual(result, level.index()));
    }
    return results;
  };
}

}  // namespace tc
