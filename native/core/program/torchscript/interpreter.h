#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/program/torchscript/items.h"
#include "core/program/torchscript/tensors.h"

namespace tc::torchscript {

/// Walks through a TorchScript graph as a run would, with `Item`s in place of values, and writes
/// down the operators on tensors that a run would call. Nothing on tensors is computed; arithmetic
/// on constants of the model is.
class Interpreter {
 public:
  explicit Interpreter(Tensors& tensors) : tensors_(tensors), next_(tensors.firstOutput()) {}

  /// Follows a function. Throws Error ERR_UNSUPPORTED_OP for what only a run could decide.
  std::vector<Item> call(const torch::jit::Graph& graph, const std::vector<Item>& arguments);

  /// The value number of a tensor.
  int64_t valueOf(const Item& item);

  std::vector<ProgramSpec::Node> takeNodes() { return std::move(nodes_); }

 private:
  /// What the values of a function's graph stand for. A loop's body gives its values anew each
  /// time.
  using Environment = std::unordered_map<const torch::jit::Value*, Item>;

  void run(const torch::jit::Block& block, Environment& environment);
  void step(const torch::jit::Node& node, Environment& environment);
  void branch(const torch::jit::Node& node, Environment& environment);
  void loop(const torch::jit::Node& node, Environment& environment);
  /// Calls of functions and methods. False when the node is none.
  bool callFunction(const torch::jit::Node& node, Environment& environment);
  /// A size of a tensor, which is read when the program runs: its shape may not change in place.
  ProgramSpec::Size axisOf(int64_t id, int64_t axis);
  /// The first value of the tensor that this is: what is changed in place gives the same tensor.
  int64_t rootOf(int64_t id) const;

  /// Counts what reading the model takes. Throws Error ERR_UNSUPPORTED_OP where it has no end.
  void spend(size_t steps);

  /// The result of a node that makes, takes apart or asks about values without computing on
  /// tensors.
  std::optional<std::vector<Item>> fold(const torch::jit::Node& node,
                                        const std::vector<Item>& inputs);
  /// The result of an operator on whole numbers some of which are sizes.
  std::optional<Item> foldSize(const std::string& name, const std::vector<Item>& inputs);
  /// The result of an operator whose arguments are all constants.
  std::optional<Item> foldConstant(const torch::jit::Node& node, const std::vector<Item>& inputs);
  /// What lists, dictionaries and sizes as a whole are asked and how they are changed.
  std::optional<std::vector<Item>> foldContainer(const torch::jit::Node& node,
                                                 const std::vector<Item>& inputs);
  std::optional<std::vector<Item>> foldList(const torch::jit::Node& node,
                                            const std::vector<Item>& inputs);
  std::optional<std::vector<Item>> foldDict(const torch::jit::Node& node, Dict& dict,
                                            const std::vector<Item>& inputs);
  std::optional<std::vector<Item>> foldSizes(const torch::jit::Node& node, const SizesItem& sizes,
                                             const std::vector<Item>& inputs);
  /// What is asked of a tensor that the model brings.
  std::optional<Item> foldKnown(const std::string& name, const at::Tensor& tensor,
                                const std::vector<Item>& inputs);
  /// Conversions by names that TorchScript alone has.
  std::optional<Item> foldConversion(const torch::jit::Node& node, const std::vector<Item>& inputs);
  /// `torch.tensor` and `torch.as_tensor`.
  std::optional<Item> makeTensor(const torch::jit::Node& node, const std::vector<Item>& inputs);
  /// An operator that takes all sizes of another tensor, by its sibling that takes the tensor.
  std::optional<Item> likeAnother(const torch::jit::Node& node, const std::vector<Item>& inputs);
  /// The tensor in another dtype, an argument of the node; as it is where that is None.
  Item converted(const Item& tensor, const Item& dtype, const torch::jit::Node& node);
  /// Writes down an operator of one result.
  Item write(ProgramSpec::Node call);
  /// Writes down an operator on tensors.
  std::vector<Item> emit(const torch::jit::Node& node, const std::vector<Item>& inputs);
  /// Tensors among constants as values of the program.
  Item toItem(const c10::IValue& value);
  Item withTensors(const Item& item);
  /// A tensor of the model that a node has changed in place is no constant any more.
  Item asChanged(const Item& item);
  void follow(const ProgramSpec::Node& call);

  Tensors& tensors_;
  int64_t next_;
  std::vector<ProgramSpec::Node> nodes_;
  std::unordered_map<int64_t, int64_t> roots_;  ///< of what was changed in place
  std::unordered_set<int64_t> asked_;           ///< roots of tensors whose sizes were asked for
  int64_t steps_ = 0;
  int depth_ = 0;
};

}  // namespace tc::torchscript
