#include "core/linearization/autograd/maps/linearizer.h"

#include <c10/core/GradMode.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "core/linearization/autograd/maps/matrix.h"

namespace tc {
namespace {

/// The transposed map of one call.
class Transposed : public torch::autograd::Node {
 public:
  Transposed(const std::string& op, Pullback pull, torch::autograd::edge_list next)
      : Node(std::move(next)), name_(op + " transposed"), pull_(std::move(pull)) {}

  std::string name() const override { return name_; }
  void release_variables() override { pull_ = {}; }

 protected:
  torch::autograd::variable_list apply(torch::autograd::variable_list&& cotangents) override {
    TORCH_INTERNAL_ASSERT(pull_ && !at::GradMode::is_enabled(), name_, " is run once too often");
    const bool reached =
        std::ranges::any_of(cotangents, [](const at::Tensor& each) { return each.defined(); });
    if (!reached) return torch::autograd::variable_list(num_outputs());
    return pull_(cotangents);
  }

 private:
  std::string name_;
  Pullback pull_;
};

/// What owns a node of a graph: a c10::intrusive_ptr, in older releases of libtorch a
/// std::shared_ptr.
using NodePointer = decltype(torch::autograd::Edge::function);

template <typename Made, typename... Arguments>
NodePointer makeNode(Arguments&&... arguments) {
  if constexpr (std::is_same_v<NodePointer, std::shared_ptr<torch::autograd::Node>>) {
    // Without libtorch's deleter, deep graphs would be freed by recursion.
    return NodePointer(new Made(std::forward<Arguments>(arguments)...),
                       [](auto* node) { deleteNode(node); });
  } else {
    return c10::make_intrusive<Made>(std::forward<Arguments>(arguments)...);
  }
}

/// Whose derivatives are wanted, in the order of the arguments.
std::vector<Call::Active> activeOf(const torch::jit::Stack& arguments) {
  std::vector<Call::Active> active;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].isTensor()) continue;
    const at::Tensor& tensor = arguments[i].toTensor();
    if (tensor.defined() && tensor.requires_grad())
      active.push_back({i, 0, tensor, tensor.is_leaf()});
  }
  return active;
}

}  // namespace

bool Linearizer::call(const Program::Node& node, torch::jit::Stack& stack) {
  push_ = {};
  if (!hasMapRule(node.op)) return false;
  Call call{node.op, {}, {}, activeOf(stack)};
  if (call.active.empty()) return false;
  if (!std::ranges::all_of(call.active, computesWith, &Call::Active::primal)) return false;
  torch::autograd::edge_list edges;
  torch::jit::Stack results;
  LinearMap map;
  {
    const c10::NoGradGuard noGradients;
    for (Call::Active& each : call.active) {
      edges.push_back(torch::autograd::impl::gradient_edge(each.primal));
      each.primal = each.primal.detach();
    }
    for (const c10::IValue& argument : stack) {
      call.arguments.push_back(argument.isTensor() ? argument.toTensor().detach() : argument);
    }
    results = call.arguments;
    if (at::Tensor y = resultByKernels(node.op, results); y.defined()) {
      results = {c10::IValue(std::move(y))};
    } else {
      node.op.callBoxed(results);
    }
    if (results.size() != 1) return false;
    if (results.front().isTensorList()) {
      call.results = results.front().toTensorVector();
    } else {
      call.results = {results.front().toTensor()};
    }
    map = linearMap(call);
    if (!map) return false;
    // The map keeps the results by themselves, without their place in the graph.
    for (at::Tensor& each : call.results) each = each.detach();
  }
  const NodePointer transposed =
      makeNode<Transposed>(node.op.schema().name(), std::move(map.pull), std::move(edges));
  for (at::Tensor& each : call.results) torch::autograd::set_history(each, transposed);
  if (results.front().isTensorList()) {
    stack = {c10::IValue(call.results)};
  } else {
    stack = {c10::IValue(call.results.front())};
  }
  push_ = std::move(map.push);
  return true;
}

}  // namespace tc
