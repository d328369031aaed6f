#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/program/argument_checks.h"
#include "core/program/findings.h"
#include "core/program/prepared_arguments.h"

namespace tc {

struct SizeFunction;

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
  /// A number that is known only when the program runs, because it depends on the sizes of values:
  /// the batch size in `x.view(batch, -1)`, the length in `x / math.sqrt(length)`. Whole
  /// expressions, as model files have them (sizes.h).
  struct Size {
    enum class Kind {
      kConstant,
      kReal,  ///< a constant that is no size
      kAxis,  ///< of a value
      kItem,  ///< the one element of an input
      kCall,  ///< a function of operands
    };
    Kind kind = Kind::kConstant;
    int64_t number = 0;               ///< the constant, or the value number of kAxis and kItem
    int64_t axis = 0;                 ///< of kAxis; negative counts from the end
    std::vector<Size> operands = {};  ///< of kCall, as many as its function takes
    const SizeFunction* function = nullptr;
    double real = 0;
  };
  using Sizes = std::vector<Size>;
  /// A complex number.
  struct Complex {
    double real;
    double imaginary;
  };
  /// The precision of the parameters, where an operator takes a dtype.
  struct Precision {};
  /// That of complex numbers whose parts have the precision of the parameters.
  struct ComplexPrecision {};
  /// The dtype of a value.
  struct DtypeOf {
    int64_t value;
  };
  /// The schema of the operator decides what a plain number or list becomes.
  using Argument =
      std::variant<std::monostate, Ref, Refs, Float, double, bool, std::string, std::vector<double>,
                   Size, Sizes, Precision, DtypeOf, Complex, ComplexPrecision>;

  struct Parameter {
    std::string name;
    std::vector<int64_t> shape;
  };
  struct Node {
    std::string target;  ///< `aten::linear`, or with an overload `aten::add.Tensor`
    std::vector<Argument> args;
    std::map<std::string, Argument> kwargs;
    /// Values it produces: those of the schema, or for an operator that returns a list of tensors
    /// the first elements of that list.
    int64_t outputs = 1;
    /// Whether its result shares memory with its first argument, where the operator leaves that to
    /// how its argument lies in memory (`reshape`): as exported.
    std::optional<bool> sharesMemory = std::nullopt;
    /// Whether derivatives pass through what it changes in place.
    bool differentiated = true;
    /// Whether it runs although nobody may read it, as it tells what does not fit the model; of a
    /// list of tensors, it has no more than `outputs`.
    bool required = false;
  };

  /// What is known of an input or an output.
  struct Port {
    /// A size, or the name of one that varies: `batch` is the number of rows, `...` stands for any
    /// number of axes.
    using Axis = std::variant<int64_t, std::string>;

    std::string name = "x";
    std::optional<at::ScalarType> dtype;  ///< as exported; floating numbers follow the parameters
    std::vector<Axis> shape = {"batch", "..."};

    /// Whether its first axis is the batch; what has no rows is the same for all of them.
    bool hasRows() const;
  };

  std::vector<Parameter> parameters;
  std::vector<Port> inputs = {{}};
  std::vector<at::Tensor> constants;
  /// Parameters and constants, by number, that were views of one memory in the model: each list of
  /// them. The rest have memory of their own.
  std::vector<std::vector<int64_t>> sharing;
  std::vector<Node> nodes;
  int64_t output = 0;  ///< value number of the result; its first axis is the batch
  /// All results of the model as exported, of which `output` is the one at `returned`; empty where
  /// nothing is known.
  std::vector<Port> outputs;
  size_t returned = 0;
  /// The batch that it was exported for, where it takes no other.
  std::optional<int64_t> batch;
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
  /// The device of the parameters, where an operator takes a device.
  struct DeviceOfParameters {};
  /// An argument in the order of the operator's schema: a constant, a value, a list of values, or
  /// what is only known when the program runs.
  using Slot =
      std::variant<c10::IValue, ProgramSpec::Ref, ProgramSpec::Refs, ProgramSpec::Size,
                   ProgramSpec::Sizes, ProgramSpec::Precision, ProgramSpec::ComplexPrecision,
                   ProgramSpec::DtypeOf, DeviceOfParameters>;
  struct Node {
    c10::OperatorHandle op;
    std::vector<Slot> slots;
    int64_t outputs;
    bool required;
    std::vector<int64_t> lastUses;       ///< values nobody needs after this node
    ArgumentCheck check = nullptr;       ///< of what the operator takes on trust
    ArgumentCheck rangeCheck = nullptr;  ///< of numbers that a GPU does not survive
    ArgumentPreparation preparation = nullptr;
  };

  /// Looks up and checks every operator. Throws Error: ERR_UNSUPPORTED_OP for an operator that does
  /// not exist, is random, or changes its inputs and cannot be replaced by one that does not
  /// (functional.h); ERR_MODEL_LOAD for a malformed program.
  explicit Program(const ProgramSpec& spec);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  int64_t parameterCount() const { return parameterCount_; }
  const std::vector<ProgramSpec::Port>& inputs() const { return inputs_; }
  int64_t inputCount() const { return static_cast<int64_t>(inputs_.size()); }
  /// All results of the model as exported; where that is not known, the one result as far as the
  /// shapes of the inputs tell.
  const std::vector<ProgramSpec::Port>& outputs() const { return outputs_; }
  /// Which of them the program gives.
  const ProgramSpec::Port& result() const { return outputs_[returned_]; }
  /// Whether `outputs` is what some inputs showed.
  bool outputsSeen() const { return outputsSeen_; }
  /// The number of rows that the program runs at a time, if only one will do.
  std::optional<int64_t> fixedBatch() const { return batch_; }
  const std::vector<at::Tensor>& constants() const { return constants_; }
  /// The constants on a device, floating numbers in a precision. In float32, what is finite
  /// and beyond it (`torch.finfo(torch.float64).min` of a mask) becomes its last number.
  std::vector<at::Tensor> constantsIn(at::ScalarType precision, c10::Device device) const;
  const std::vector<Node>& nodes() const { return nodes_; }
  /// Value number of the result.
  int64_t output() const { return output_; }
  /// What is worked out from the program once.
  Findings& findings() const { return findings_; }

  /// Views of the flat vector `[P]`, one for each parameter, in order.
  std::vector<at::Tensor> unflatten(const at::Tensor& flat) const;

  /// Is told of a node, of the arguments it was called with, in the order of its schema, and of the
  /// values after it.
  using Observer = std::function<void(const Node& node, const torch::jit::Stack& arguments,
                                      const std::vector<at::Tensor>& values)>;

  /// May call a node's operator in its place, with arguments on the stack, on which it leaves the
  /// results; false where it did nothing.
  using Caller = std::function<bool(const Node& node, torch::jit::Stack& stack)>;

  /// Runs the nodes, and polls the thread's token (StopScope) before each. `constants` are those of
  /// the program in the precision and on the device of the parameters.
  at::Tensor run(at::TensorList parameters, at::TensorList inputs, at::TensorList constants,
                 const Observer& observer = {}, const Caller& caller = {}) const;

  /// Runs one node, appending what it produces to the values before it. `leading` is a tensor whose
  /// precision and device stand for those of the parameters.
  static void call(const Node& node, const at::Tensor& leading, std::vector<at::Tensor>& values,
                   const Observer& observer = {}, const Caller& caller = {});

 private:
  Node resolve(const ProgramSpec::Node& node, int64_t known) const;

  std::vector<Parameter> parameters_;
  int64_t parameterCount_ = 0;
  std::vector<ProgramSpec::Port> inputs_;
  std::vector<ProgramSpec::Port> outputs_;
  size_t returned_;
  bool outputsSeen_;
  std::optional<int64_t> batch_;
  std::vector<at::Tensor> constants_;
  std::vector<bool> wide_;  ///< which constants hold finite numbers beyond float32
  std::vector<Node> nodes_;
  int64_t values_ = 0;
  int64_t output_;
  mutable Findings findings_;
};

}  // namespace tc
