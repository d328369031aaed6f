#include <ATen/ops/_make_dual.h>
#include <ATen/ops/_unpack_dual.h>

#include "core/dual_level.h"
#include "core/linearization/pushforwards/pushforward.h"

namespace tc {

Pushforward withDuals(const Call& call) {
  return [again = Replaced(call), active = call.active](const Tangents& tangents) {
    const DualLevel level;
    std::vector<at::Tensor> duals;
    for (size_t i = 0; i < active.size(); ++i)
      duals.push_back(at::_make_dual(active[i].primal, tangents[i], level.index()));
    Tangents results = again.call(active, duals);
    for (at::Tensor& result : results) {
      if (result.defined()) result = std::get<1>(at::_unpack_dual(result, level.index()));
    }
    return results;
  };
}

}  // namespace tc
