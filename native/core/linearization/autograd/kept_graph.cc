#include "core/linearization/autograd/kept_graph.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/functions/basic_ops.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <unordered_set>

#include "core/program/program.h"
#include "core/runtime/device.h"
#include "core/runtime/error.h"
#include "core/runtime/reason.h"
#include "core/runtime/stop.h"

namespace tc {

using torch::autograd::Edge;
using torch::autograd::Node;

namespace {

/// Called by libtorch's engine before the function that it belongs to.
class Poll : public torch::autograd::FunctionPreHook {
 public:
  torch::autograd::variable_list operator()(const torch::autograd::variable_list& grads) override {
    StopScope::poll();
    // libtorch's own thread for the device may see it for the first time.
    for (const at::Tensor& each : grads) {
      if (each.defined()) makeCurrent(each.device());
    }
    return grads;
  }
};

/// Calls `visit(node)` once for each node of the graph below `roots`, until it returns false.
template <typename Visit>
void forEachNode(const std::vector<Edge>& roots, Visit&& visit) {
  std::unordered_set<Node*> seen;
  std::vector<Node*> open;
  const auto discover = [&](const Edge& edge) {
    if (edge.is_valid() && seen.insert(edge.function.get()).second)
      open.push_back(edge.function.get());
  };
  for (const Edge& root : roots) discover(root);
  while (!open.empty()) {
    Node* const node = open.back();
    open.pop_back();
    if (!visit(*node)) return;
    for (const Edge& edge : node->next_edges()) discover(edge);
  }
}

/// Runs `body`; libtorch's "derivative for … is not implemented" becomes ERR_UNSUPPORTED_OP.
template <typename Body>
std::vector<at::Tensor> namingOperators(Body&& body) {
  try {
    return body();
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::exception& error) {
    const std::string message = reasonOf(error);
    if (message.find("not implemented") == std::string::npos) throw;
    throw Error("ERR_UNSUPPORTED_OP", message);
  }
}

/// ∂⟨y, cotangent⟩/∂leaves: as tensors that can be differentiated `again`, or for good.
std::vector<at::Tensor> gradientOf(const at::Tensor& y, const std::vector<at::Tensor>& leaves,
                                   const at::Tensor& cotangent, bool again) {
  makeInterruptible({edgeOf(y)});
  return namingOperators([&] {
    return torch::autograd::grad({y}, leaves, {cotangent}, /*retain_graph=*/again,
                                 /*create_graph=*/again, /*allow_unused=*/true);
  });
}

}  // namespace

std::vector<at::Tensor> leavesAt(const Point& point) {
  std::vector<at::Tensor> leaves = point.program->unflatten(point.params);
  for (at::Tensor& leaf : leaves) leaf = leaf.detach().requires_grad_();
  return leaves;
}

Edge edgeOf(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.requires_grad()) return {};
  return torch::autograd::impl::gradient_edge(tensor);
}

void makeInterruptible(const std::vector<Edge>& roots) {
  forEachNode(roots, [](Node& node) {
    // A leaf of the graph computes nothing.
    if (node.num_outputs() > 0) node.add_pre_hook(std::make_unique<Poll>());
    return true;
  });
}

std::vector<at::Tensor> differentiableGradient(const at::Tensor& y,
                                               const std::vector<at::Tensor>& leaves,
                                               const at::Tensor& cotangent) {
  return gradientOf(y, leaves, cotangent, /*again=*/true);
}

std::vector<at::Tensor> gradientOnce(const at::Tensor& y, const std::vector<at::Tensor>& leaves,
                                     const at::Tensor& cotangent) {
  return gradientOf(y, leaves, cotangent, /*again=*/false);
}

KeptGraph::KeptGraph(const std::vector<at::Tensor>& roots, const std::vector<at::Tensor>& leaves) {
  for (size_t i = 0; i < roots.size(); ++i) {
    if (Edge edge = edgeOf(roots[i]); edge.is_valid()) {
      used_.push_back(i);
      roots_.push_back(std::move(edge));
    }
  }
  for (const at::Tensor& leaf : leaves) leaves_.push_back(edgeOf(leaf));
  makeInterruptible(roots_);
}

std::vector<at::Tensor> KeptGraph::pull(const std::vector<at::Tensor>& cotangents) const {
  if (roots_.empty()) return std::vector<at::Tensor>(leaves_.size());
  std::vector<at::Tensor> used;
  used.reserve(used_.size());
  for (const size_t i : used_) used.push_back(cotangents[i]);
  return namingOperators([&] {
    return torch::autograd::Engine::get_default_engine().execute(
        roots_, used, /*keep_graph=*/true, /*create_graph=*/false, /*accumulate_grad=*/false,
        leaves_);
  });
}

std::string KeptGraph::missingDerivative() const {
  std::string missing;
  forEachNode(roots_, [&](const Node& node) {
    if (const auto* error = dynamic_cast<const torch::autograd::Error*>(&node))
      missing = error->msg;
    return missing.empty();
  });
  return missing;
}

at::Tensor flattened(const std::vector<at::Tensor>& parts, const std::vector<at::Tensor>& like,
                     int64_t length, const at::TensorOptions& options) {
  at::Tensor flat = at::empty({length}, options.requires_grad(false));
  int64_t offset = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const at::Tensor part = flat.narrow(0, offset, like[i].numel());
    if (parts[i].defined()) {
      part.view(like[i].sizes()).copy_(parts[i]);
    } else {
      part.zero_();
    }
    offset += like[i].numel();
  }
  return flat;
}

}  // namespace tc
