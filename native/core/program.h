#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tc {

/// How a model is described before its operators are looked up: a straight-line list of ATen calls,
/// as torch.export writes them. Values are numbered: parameters, inputs, constants, then the
/// outputs of the nodes in order.
struct ProgramSpec {
  struct Ref {
    int64_t value;
  };
  struct Refs {
    std::vector<std::optional<int64_t>> values;
  };
  /// A number that must become a floating scalar even where it is whole.
  struct Float {
    double value;
  };
  /// The schema of the operator decides what a plain number or list becomes.
  using Argument = std::variant<std::monostate, Ref, Refs, Float, double, bool, std::string,
                                std::vector<double>>;

  struct Parameter {
    std::string name;
    std::vector<int64_t> shape;
  };
  struct Node {
    std::string target;  ///< `aten::linear`, or with an overload `aten::add.Tensor`
    std::vector<Argument> args;
    std::map<std::string, Argument> kwargs;
    int64_t outputs = 1;
  };

  std::vector<Parameter> parameters;
  int64_t inputs = 1;
  std::vector<at::Tensor> constants;
  std::vector<Node> nodes;
  int64_t output = 0;  ///< value number of the result; its first axis is the batch
};

/// A model: a straight-line program of ATen operators with named parameters, run through the
/// dispatcher, so that autograd, dual tensors, vmap and every device apply to it without code of
/// its own. Immutable; safe to share between threads.
class Program {
 public:
  struct Parameter {
    std::string name;
    std::vector<int64_t> shape;
    int64_t offset;  ///< first element in the flat parameter vector
    int64_t length;
  };
  /// An argument in the order of the operator's schema: a constant, a value, or a list of values.
  using Slot = std::variant<c10::IValue, ProgramSpec::Ref, ProgramSpec::Refs>;
  struct Node {
    c10::OperatorHandle op;
    std::vector<Slot> slots;
    int64_t outputs;
    std::vector<int64_t> lastUses;  ///< values nobody needs after this node
  };

  /// Looks up and checks every operator. Throws Error: ERR_UNSUPPORTED_OP for an operator that does
  /// not exist, changes its inputs or is random; ERR_MODEL_LOAD for a malformed program.
  explicit Program(const ProgramSpec& spec);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  int64_t parameterCount() const { return parameterCount_; }
  int64_t inputCount() const { return inputs_; }
  const std::vector<at::Tensor>& constants() const { return constants_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  /// Value number of the result.
  int64_t output() const { return output_; }

  /// Views of the flat vector `[P]`, one for each parameter, in order.
  std::vector<at::Tensor> unflatten(const at::Tensor& flat) const;

  /// Runs the nodes. `constants` are those of the program in the precision and on the device of the
  /// parameters.
  at::Tensor run(at::TensorList parameters, at::TensorList inputs, at::TensorList constants) const;

 private:
  Node resolve(const ProgramSpec::Node& node, int64_t known) const;

  std::vector<Parameter> parameters_;
  int64_t parameterCount_ = 0;
  int64_t inputs_;
  std::vector<at::Tensor> constants_;
  std::vector<Node> nodes_;
  int64_t values_ = 0;
  int64_t output_;
};

}  // namespace tc
