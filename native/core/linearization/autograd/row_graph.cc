#include "core/linearization/autograd/row_graph.h"

#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/TensorWrapper.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/kept_graph.h"
#include "core/linearization/rows.h"
#include "core/program/program.h"

namespace tc {
namespace {

namespace functorch = at::functorch;

constexpr c10::DispatchKeySet kLevels({c10::DispatchKey::FuncTorchDynamicLayerFrontMode,
                                       c10::DispatchKey::FuncTorchDynamicLayerBackMode});

}  // namespace

RowGraph::RowGraph(const Point& point, int64_t begin, int64_t end, const Sources& sources,
                   bool together)
    : rows_(end - begin) {
  const at::AutoGradMode gradients(true);
  const DifferentiableKernels kernels(*point.program);
  std::vector<at::Tensor> inputs = rows(point, begin, end);
  std::vector<at::Tensor> leaves;
  if (together) {
    leaves = point.program->unflatten(point.params.detach());
    vmap_.emplace(TransformLevel::Kind::kVmap, rows_);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!point.hasRows(i)) continue;
      // Each row a batch of one.
      inputs[i] = functorch::makeBatched(inputs[i].unsqueeze(1), 0, vmap_->level());
    }
    grad_.emplace(TransformLevel::Kind::kGrad);
    for (at::Tensor& leaf : leaves) {
      leaf = functorch::makeTensorWrapper(leaf, grad_->level());
      leaf.set_requires_grad(true);
    }
    for (at::Tensor& input : inputs) input = functorch::makeTensorWrapper(input, grad_->level());
  } else {
    leaves = leavesAt(point);
  }
  arguments_.resize(sources.taps.size());
  sources_.resize(sources.taps.size());
  const Program::Node* const first = point.program->nodes().data();
  y_ = point.program->run(leaves, inputs, point.constants,
                          [&](const Program::Node& node, const torch::jit::Stack& arguments,
                              const std::vector<at::Tensor>& values) {
                            for (size_t i = 0; i < sources.taps.size(); ++i) {
                              const RowGraph::Tap& tap = sources.taps[i];
                              if (tap.node != static_cast<size_t>(&node - first)) continue;
                              arguments_[i] = arguments[tap.argument].toTensor();
                              sources_[i] =
                                  values[values.size() - static_cast<size_t>(node.outputs)];
                            }
                          });
  requireDifferentiable(y_, 1);
  for (const size_t parameter : sources.parameters) sources_.push_back(leaves[parameter]);
  makeInterruptible({edgeOf(y_)});
  outside_.emplace(kLevels);
  for (at::Tensor& argument : arguments_) argument = plain(argument);
}

std::vector<at::Tensor> RowGraph::gradients(const at::Tensor& cotangent) {
  std::vector<at::Tensor> found(sources_.size());
  if (!y_.requires_grad()) return found;
  at::Tensor u = cotangent;
  if (vmap_) u = functorch::makeBatched(u.unsqueeze(1), 0, vmap_->level());
  outside_.reset();
  {
    const at::AutoGradMode recorded(true);
    std::vector<at::Tensor> reachable;
    for (const at::Tensor& source : sources_) {
      if (source.requires_grad()) reachable.push_back(source);
    }
    const auto gradients = torch::autograd::grad({y_}, reachable, {u}, /*retain_graph=*/true,
                                                 /*create_graph=*/false, /*allow_unused=*/true);
    size_t next = 0;
    for (size_t i = 0; i < sources_.size(); ++i) {
      if (sources_[i].requires_grad()) found[i] = gradients[next++];
    }
  }
  outside_.emplace(kLevels);
  for (at::Tensor& gradient : found) {
    if (gradient.defined()) gradient = plain(gradient);
  }
  return found;
}

/// A value of the levels as a tensor of all rows, [n, …].
at::Tensor RowGraph::plain(const at::Tensor& value) const {
  at::Tensor inner = value;
  if (const auto* wrapper = functorch::maybeGetTensorWrapper(inner)) inner = wrapper->value();
  if (const auto* batched = functorch::maybeGetBatchedImpl(inner))
    return batched->value().movedim(batched->bdim(), 0).detach();
  auto shape = inner.sizes().vec();  // the same for every row
  shape.insert(shape.begin(), rows_);
  return inner.detach().unsqueeze(0).expand(shape);
}

}  // namespace tc
