#include "core/operators/kfac/block.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

namespace tc {

Block::Views Block::views(const at::Tensor& ofWeight, const at::Tensor& ofBias) const {
  const int64_t k = ofWeight.size(0);
  Views views{ofWeight.view({k, groups, height(), width()}), {}};
  if (bias) views.bias = ofBias.view({k, groups, biasLength()}).unsqueeze(biasIsRow ? 2 : 3);
  return views;
}

Block::Views Block::viewsOf(const at::Tensor& vectors) const {
  return views(vectors.narrow(1, weight, groups * height() * width()),
               bias ? vectors.narrow(1, *bias, groups * biasLength()) : at::Tensor());
}

at::Tensor Block::joined(const at::Tensor& ofWeight, const at::Tensor& ofBias) const {
  const at::Tensor zeros =
      bias && !ofBias.defined()
          ? at::zeros({ofWeight.size(0), groups * biasLength()}, ofWeight.options())
          : ofBias;
  const Views parts = views(ofWeight.contiguous(), zeros.defined() ? zeros.contiguous() : zeros);
  return bias ? at::cat({parts.weight, parts.bias}, biasIsRow ? 2 : 3) : parts.weight;
}

at::Tensor Block::gather(const at::Tensor& vectors) const {
  const Views parts = viewsOf(vectors);
  return bias ? at::cat({parts.weight, parts.bias}, biasIsRow ? 2 : 3) : parts.weight;
}

void Block::scatter(const at::Tensor& block, const at::Tensor& vectors) const {
  const Views parts = viewsOf(vectors);
  if (!bias) {
    parts.weight.copy_(block);
    return;
  }
  const int64_t axis = biasIsRow ? 2 : 3;
  const int64_t last = block.size(axis) - 1;
  parts.weight.copy_(block.narrow(axis, 0, last));
  parts.bias.copy_(block.narrow(axis, last, 1));
}

}  // namespace tc
