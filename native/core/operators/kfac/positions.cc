#include "core/operators/kfac/positions.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/im2col.h>
#include <ATen/ops/ones.h>
#include <c10/util/accumulate.h>

#include <vector>

namespace tc {
namespace {

/// [n, …, C, space…] as images one after the other, with two axes of space.
at::Tensor images(const LayerUse& use, const at::Tensor& argument) {
  const auto space = static_cast<int64_t>(use.kernel.size());
  auto shape = argument.sizes().slice(static_cast<size_t>(argument.dim() - space - 1)).vec();
  shape.insert(shape.begin(), -1);
  const at::Tensor list = argument.reshape(shape);
  return space == 1 ? list.unsqueeze(2) : list;
}

/// The list with an entry for a first axis of size 1 where there is one axis only.
std::vector<int64_t> planar(std::vector<int64_t> list, int64_t missing) {
  if (list.size() == 1) list.insert(list.begin(), missing);
  return list;
}

/// The patches under the kernel at each position, [n, R, groups, C/groups · kernel].
at::Tensor patches(const LayerUse& use, const at::Tensor& argument) {
  at::Tensor x = images(use, argument);
  std::vector<int64_t> around;  // as constant_pad_nd takes them: the last axis first
  for (size_t axis = use.kernel.size(); axis-- > 0;)
    around.insert(around.end(), {use.padding[2 * axis], use.padding[2 * axis + 1]});
  x = at::constant_pad_nd(x, around, 0);
  const at::Tensor columns =
      at::im2col(x, planar(use.kernel, 1), planar(use.dilation, 1), {0, 0}, planar(use.stride, 1));
  const int64_t n = argument.size(0);
  const int64_t inputs = columns.size(1) / use.groups;
  return columns.reshape({n, -1, use.groups, inputs, columns.size(2)})
      .permute({0, 1, 4, 2, 3})
      .reshape({n, -1, use.groups, inputs});
}

}  // namespace

at::Tensor inputPositions(const LayerUse& use, const at::Tensor& argument, bool bias) {
  const int64_t n = argument.size(0);
  if (use.kind == LayerUse::Kind::kEmbedding) return argument.reshape({n, -1}).to(at::kLong);
  at::Tensor a = use.kind == LayerUse::Kind::kConvolution
                     ? patches(use, argument)
                     : argument.reshape({n, -1, 1, argument.size(-1)});
  if (!bias) return a;
  return at::cat({a, at::ones({n, a.size(1), a.size(2), 1}, a.options())}, 3);
}

at::Tensor outputPositions(const LayerUse& use, const at::Tensor& gradient) {
  const int64_t n = gradient.size(0);
  if (use.kind != LayerUse::Kind::kConvolution)
    return gradient.reshape({n, -1, 1, gradient.size(-1)});
  const auto space = static_cast<int64_t>(use.kernel.size());
  const int64_t outputs = gradient.size(gradient.dim() - space - 1) / use.groups;
  const int64_t places =
      c10::multiply_integers(gradient.sizes().slice(static_cast<size_t>(gradient.dim() - space)));
  return gradient.reshape({n, -1, use.groups, outputs, places})
      .permute({0, 1, 4, 2, 3})
      .reshape({n, -1, use.groups, outputs});
}

int64_t inputElements(const LayerUse& use, const at::Tensor& argument) {
  const int64_t n = std::max<int64_t>(1, argument.size(0));
  return argument.numel() / n * c10::multiply_integers(use.kernel);
}

}  // namespace tc
