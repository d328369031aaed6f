#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/function.h>

#include <string>
#include <vector>

#include "core/program/point.h"

namespace tc {

/// The parameters of the point as tensors that gradients are taken by, in order: views of the flat
/// vector.
std::vector<at::Tensor> leavesAt(const Point& point);

/// The edge of a tensor in the autograd graph; invalid for a tensor that needs no gradient.
torch::autograd::Edge edgeOf(const at::Tensor& tensor);

/// From now on backward passes through the graph below `roots` poll the token of the thread they
/// run on (StopScope) before each of its functions.
void makeInterruptible(const std::vector<torch::autograd::Edge>& roots);

/// ∂⟨y, cotangent⟩/∂leaves as tensors that can be differentiated again; undefined where a leaf is
/// not reached. Throws Error ERR_UNSUPPORTED_OP, naming the operator, where a derivative does not
/// exist.
std::vector<at::Tensor> differentiableGradient(const at::Tensor& y,
                                               const std::vector<at::Tensor>& leaves,
                                               const at::Tensor& cotangent);

/// ∂⟨y, cotangent⟩/∂leaves by a backward pass that uses the graph up; undefined where a leaf is not
/// reached. Throws as `differentiableGradient` does.
std::vector<at::Tensor> gradientOnce(const at::Tensor& y, const std::vector<at::Tensor>& leaves,
                                     const at::Tensor& cotangent);

/// A linear map kept as an autograd graph: from cotangents of some values to those of others. Each
/// pull runs the graph backwards and keeps it; that is all the dispatch a product pays.
class KeptGraph {
 public:
  KeptGraph() = default;
  /// Roots that need no gradient are left out.
  KeptGraph(const std::vector<at::Tensor>& roots, const std::vector<at::Tensor>& leaves);

  /// Cotangents of the leaves for those of the roots; undefined where a leaf is not reached. Throws
  /// Error ERR_UNSUPPORTED_OP, naming the operator, where a derivative does not exist.
  std::vector<at::Tensor> pull(const std::vector<at::Tensor>& cotangents) const;

  /// Says which operator of the graph has no derivative, so that a pull would fail; empty if all
  /// have.
  std::string missingDerivative() const;

 private:
  std::vector<size_t> used_;  ///< which of the roots need a gradient
  std::vector<torch::autograd::Edge> roots_;
  std::vector<torch::autograd::Edge> leaves_;
};

/// The list, which may be empty, as one flat vector, [length], with zeros for what is not defined;
/// `like` holds tensors of the shapes, one for each entry.
at::Tensor flattened(const std::vector<at::Tensor>& parts, const std::vector<at::Tensor>& like,
                     int64_t length, const at::TensorOptions& options);

}  // namespace tc
