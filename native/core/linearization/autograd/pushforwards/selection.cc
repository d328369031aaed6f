// Operators that pick values: the tangent of the result is the tangent of what was picked.

#include <ATen/ops/embedding.h>
#include <ATen/ops/max_pool2d_with_indices.h>

#include "core/linearization/autograd/pushforwards/pushforward.h"

namespace tc {
namespace {

/// Rows of a table. The derivative of the padding row is zero, in reverse mode as well.
Pushforward embedding(const Call& call) {
  if (!call.only(0)) return {};
  const at::Tensor indices = call.arguments[1].toTensor();
  const int64_t padding = call.arguments[2].toInt();
  const at::Tensor padded = padding >= 0 ? indices.eq(padding).unsqueeze(-1) : at::Tensor();
  return [indices, padded](const Tangents& tangents) -> Tangents {
    at::Tensor rows = at::embedding(tangents.front(), indices);
    if (padded.defined()) rows.masked_fill_(padded, 0);
    return {rows};
  };
}

Pushforward maxPool2d(const Call& call) {
  if (!call.only(0)) return {};
  const auto& arguments = call.arguments;
  const auto [values, indices] = at::max_pool2d_with_indices(
      arguments[0].toTensor(), arguments[1].toIntVector(), arguments[2].toIntVector(),
      arguments[3].toIntVector(), arguments[4].toIntVector(), arguments[5].toBool());
  return [indices = indices](const Tangents& tangents) -> Tangents {
    const at::Tensor pixels = tangents.front().flatten(-2);
    return {pixels.gather(-1, indices.flatten(-2)).view(indices.sizes())};
  };
}

/// Values and where along an axis they were found: argument `axis` names it.
Rule picked(size_t axis) {
  return [axis](const Call& call) -> Pushforward {
    const at::Tensor x = call.arguments[0].toTensor();
    at::Tensor indices = call.results[1];
    if (!call.only(0) || x.dim() == 0) return {};
    const int64_t along = call.arguments[axis].toInt();
    const bool dropped = indices.dim() < x.dim();
    if (dropped) indices = indices.unsqueeze(along);
    return [indices, along, dropped](const Tangents& tangents) -> Tangents {
      const at::Tensor values = tangents.front().gather(along, indices);
      return {dropped ? values.squeeze(along) : values, at::Tensor()};
    };
  };
}

const Rows<Rule> kRows(pushforwardRules(), {
                                               {"aten::embedding", embedding},
                                               {"aten::max_pool2d", maxPool2d},
                                               {"aten::max.dim", picked(1)},
                                               {"aten::min.dim", picked(1)},
                                               {"aten::topk", picked(2)},
                                           });

}  // namespace

}  // namespace tc
