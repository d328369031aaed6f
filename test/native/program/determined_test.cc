// Results, and gradients, are functions of the arguments: no operator that models may consist of
// leaves memory as it happens to be.

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "counts.h"
#include "drawn_calls.h"
#include "known_calls.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

/// While it lives, libtorch fills new memory with what is no number, or no index.
class FilledMemory {
 public:
  FilledMemory() { at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true); }
  ~FilledMemory() { at::globalContext().setDeterministicAlgorithms(false, false); }
};

/// Memory of such sizes with other numbers in it, given back.
void leaveNumbers(const std::vector<at::Tensor>& like) {
  std::vector<at::Tensor> some;
  for (int copies = 0; copies < 8; ++copies) {
    for (const at::Tensor& each : like) {
      if (each.defined()) some.push_back(at::full_like(each, 1));
    }
  }
}

/// The results of a call, and gradients of those that have some.
std::vector<at::Tensor> run(const DrawnCall& call) {
  std::vector<at::Tensor> leaves;
  std::vector<at::Tensor> all;
  for (const at::Tensor& value : call.values) {
    const bool real = value.is_floating_point() || value.is_complex();
    all.push_back(real ? value.detach().clone().requires_grad_() : value.clone());
    if (real) leaves.push_back(all.back());
  }
  Program::call(call.node, at::zeros({}, at::kDouble), all);
  std::vector<at::Tensor> found;
  std::vector<at::Tensor> differentiable;
  for (size_t i = call.values.size(); i < all.size(); ++i) {
    if (!all[i].defined()) continue;
    found.push_back(all[i].detach().clone());
    if (all[i].requires_grad()) differentiable.push_back(all[i]);
  }
  if (differentiable.empty() || leaves.empty()) return found;
  std::vector<at::Tensor> ones;
  for (const at::Tensor& each : differentiable) ones.push_back(at::ones_like(each));
  try {
    for (const at::Tensor& each :
         torch::autograd::grad(differentiable, leaves, ones, /*retain_graph=*/false,
                               /*create_graph=*/false, /*allow_unused=*/true)) {
      if (each.defined()) found.push_back(each.is_sparse() ? each.to_dense() : each);
    }
  } catch (const std::exception&) {
    // it has no derivative there
  }
  return found;
}

/// Whether the operator takes the arguments.
bool checkCall(const std::optional<DrawnCall>& call) {
  if (!call) return false;
  const c10::FunctionSchema& schema = call->node.op.schema();
  std::vector<at::Tensor> filled;
  try {
    const FilledMemory memory;
    filled = run(*call);
  } catch (const std::exception&) {
    return false;  // the operator does not take them
  }
  leaveNumbers(filled);
  const std::vector<at::Tensor> again = run(*call);
  CHECK_MESSAGE(again.size() == filled.size(), schema.name() << call->text);
  for (size_t i = 0; i < std::min(filled.size(), again.size()); ++i) {
    CHECK_MESSAGE(sameNumbers(again[i], filled[i]),
                  schema.name() << '.' << schema.overload_name() << call->text << " tensor " << i);
  }
  return true;
}

}  // namespace

TEST_CASE("results are of the arguments alone, for every operator") {
  const uint64_t trials = byCounts<uint64_t>(30, 300);
  const uint64_t changed = byCounts<uint64_t>(5, 25);
  int64_t operators = 0;
  for (const c10::OperatorHandle& op : operatorsOfModels()) {
    const std::string name = op.schema().name();
    // Which the program replaces.
    if (name.find("::empty") != std::string::npos || name.find("new_empty") != std::string::npos)
      continue;
    bool called = false;
    for (uint64_t seed = 1; seed <= trials; ++seed)
      called = checkCall(drawCall(op, seed)) || called;
    for (uint64_t seed = 1; seed <= changed; ++seed) {
      for (size_t which = 0; which < knownCalls(op); ++which)
        called = checkCall(knownCall(op, which, {3, /*far=*/false}, seed)) || called;
    }
    operators += called ? 1 : 0;
  }
  CHECK(operators > 600);
}
