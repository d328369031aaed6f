// Operators that cut a tensor in views: the cotangent of the whole is put together in memory laid
// out as the whole, so that views between it and what it was made of need no copies.

#include <ATen/ops/empty_like.h>

#include "core/linearization/autograd/maps/linear_map.h"

namespace tc {
namespace {

/// `partsOf(whole)` gives the parts of any tensor of the shape of the first argument.
template <typename PartsOf>
LinearMap cut(const Call& call, const PartsOf& partsOf) {
  if (!call.only(0)) return {};
  const at::Tensor like = call.active.front().primal;
  // A tensor that overlaps itself has no memory to put the cotangent together in.
  if (!like.is_non_overlapping_and_dense()) return {};
  return {[partsOf](const Tangents& tangents) -> Tangents { return partsOf(tangents.front()); },
          [like, partsOf](const Tangents& cotangents) -> Tangents {
            const at::Tensor whole = at::empty_like(like);
            const auto parts = partsOf(whole);
            for (size_t i = 0; i < parts.size(); ++i) {
              if (cotangents[i].defined()) {
                parts[i].copy_(cotangents[i]);
              } else {
                parts[i].zero_();
              }
            }
            return {whole};
          }};
}

LinearMap unbind(const Call& call) {
  return cut(call, [axis = call.arguments[1].toInt()](const at::Tensor& whole) {
    return whole.unbind(axis);
  });
}

LinearMap split(const Call& call) {
  return cut(call, [size = call.arguments[1].toInt(), axis = call.arguments[2].toInt()](
                       const at::Tensor& whole) { return whole.split(size, axis); });
}

LinearMap splitWithSizes(const Call& call) {
  return cut(call, [sizes = call.arguments[1].toIntVector(), axis = call.arguments[2].toInt()](
                       const at::Tensor& whole) { return whole.split_with_sizes(sizes, axis); });
}

LinearMap chunk(const Call& call) {
  return cut(call, [count = call.arguments[1].toInt(), axis = call.arguments[2].toInt()](
                       const at::Tensor& whole) { return whole.chunk(count, axis); });
}

const Rows<MapRule> kRows(mapRules(), {
                                          {"aten::unbind.int", unbind},
                                          {"aten::split.Tensor", split},
                                          {"aten::split_with_sizes", splitWithSizes},
                                          {"aten::chunk", chunk},
                                      });

}  // namespace

}  // namespace tc
