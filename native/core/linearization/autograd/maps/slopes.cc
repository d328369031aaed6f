// Activations without a derivative that follows from their result: the factor f'(x), which the
// tangents need anyway, serves both directions.

#include <ATen/ops/mul.h>

#include "core/linearization/autograd/maps/linear_map.h"

namespace tc {
namespace {

LinearMap activation(const Call& call) {
  if (!call.only(0)) return {};
  const at::Tensor slope = slopeAt(call);
  if (!slope.defined()) return {};
  const auto multiply = [slope](const Tangents& vectors) -> Tangents {
    return {at::mul(vectors.front(), slope)};
  };
  return {multiply, multiply};
}

const Rows<MapRule> kRows(mapRules(), {
                                          {"aten::gelu", activation},
                                          {"aten::silu", activation},
                                          {"aten::mish", activation},
                                          {"aten::softplus", activation},
                                          {"aten::elu", activation},
                                          {"aten::hardswish", activation},
                                      });

}  // namespace

}  // namespace tc
