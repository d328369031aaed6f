#include "core/linearization/fused/work.h"

namespace tc::fused {
namespace {

int64_t multiplyAdds(const Layer& layer) {
  return layer.linear ? 2 * layer.linear->in * layer.linear->out : 0;
}

}  // namespace

Work analyticWork(const Chain& chain) {
  Work work;
  bool reached = false;  // by a parameter, the layer's input
  for (const Layer& layer : chain.layers) {
    const int64_t each = multiplyAdds(layer);
    work.forward += each;
    work.gradients += each;
    work.tangent += reached ? 2 * each : each;
    work.transposed += reached ? each : 0;
    reached = reached || layer.linear;
  }
  return work;
}

Work executedWork(const Schedule& schedule) {
  Work work;
  bool below = false;  // a linear layer
  bool belowFromCut = false;
  bool anyDirect = false;
  for (int64_t l = 0; l < schedule.chain.size(); ++l) {
    const Layer& layer = schedule.chain.layer(l);
    if (!layer.linear) continue;
    const int64_t each = multiplyAdds(layer);
    const bool direct = schedule.isDirect(l);
    anyDirect = anyDirect || direct;
    work.forward += each;
    work.gradients += each;
    work.tangent += !direct && schedule.isActive(l) ? 2 * each : each;
    work.direct += below ? schedule.chain.outputs() * each : 0;
    work.transposed += belowFromCut ? each : 0;
    below = true;
    belowFromCut = belowFromCut || l >= schedule.cut;
  }
  if (!anyDirect) work.direct = 0;
  return work;
}

}  // namespace tc::fused
