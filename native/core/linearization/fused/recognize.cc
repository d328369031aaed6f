#include "core/linearization/fused/recognize.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <string_view>

#include "core/program/program.h"
#include "core/program/sizes.h"

#include "core/kernels/kernels.h"

namespace tc::fused {
namespace {

using Shape = std::vector<int64_t>;

/// Thrown where the program stops being a chain, caught in `recognize`.
struct NoChain {
  std::string reason;
};

int64_t numbers(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

/// A value of the program that stands for v_l, with the shape of one sample.
struct Value {
  int64_t l;
  Shape shape;
  bool shared;  ///< something else reads it or what it is a view of
};

/// One node's arguments by position.
class NodeView {
 public:
  NodeView(const Program& program, const Program::Node& node) : program_(program), node_(node) {
    const auto& name = node.op.operator_name();
    name_ = name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
  }

  const std::string& name() const { return name_; }
  size_t size() const { return node_.slots.size(); }
  std::optional<int64_t> value(size_t i) const {
    const auto* ref = std::get_if<ProgramSpec::Ref>(&node_.slots[i]);
    return ref == nullptr ? std::nullopt : std::optional(ref->value);
  }
  const c10::IValue& constant(size_t i) const {
    const auto* constant = std::get_if<c10::IValue>(&node_.slots[i]);
    if (constant == nullptr) throw NoChain{name_ + " is given a computed number"};
    return *constant;
  }
  const ProgramSpec::Sizes* computedSizes(size_t i) const {
    return std::get_if<ProgramSpec::Sizes>(&node_.slots[i]);
  }
  double number(size_t i) const { return constant(i).toScalar().toDouble(); }
  int64_t integer(size_t i) const { return constant(i).toInt(); }
  /// The parameter that argument i is; none for anything else.
  const Program::Parameter* parameter(std::optional<int64_t> value) const {
    if (!value || *value >= static_cast<int64_t>(program_.parameters().size())) return nullptr;
    return &program_.parameters()[static_cast<size_t>(*value)];
  }

 private:
  const Program& program_;
  const Program::Node& node_;
  std::string name_;
};

/// Reads a node as the activation of a row: its first argument is the input, the others are numbers
/// and the row's word.
std::optional<Activation> readActivation(const NodeView& node, int64_t row, const char* word) {
  Activation activation{row};
  size_t count = 0;
  for (size_t i = 1; i < node.size(); ++i) {
    if (node.constant(i).isString()) {
      if (word == nullptr || node.constant(i).toStringRef() != word) return std::nullopt;
    } else {
      if (count == std::size(activation.numbers)) return std::nullopt;
      activation.numbers[count++] = node.number(i);
    }
  }
  return activation;
}

std::optional<Activation> activationOf(const NodeView& node) {
  const auto rows = kernels<double>().activations;  // as those of any precision
  for (size_t row = 0; row < rows.size(); ++row) {
    if (node.name() != rows[row].target) continue;
    if (auto activation = readActivation(node, static_cast<int64_t>(row), rows[row].word))
      return activation;
  }
  return std::nullopt;
}

class Reader {
 public:
  Reader(const Program& program, const Shape& input) : program_(program), batch_(input.front()) {
    const auto first = static_cast<int64_t>(program.parameters().size());
    countUses();
    const Shape shape(input.begin() + 1, input.end());
    chain_.widths.push_back(numbers(shape));
    values_.emplace(first, Value{0, shape, isShared(first)});
  }

  Chain read() {
    int64_t result = static_cast<int64_t>(program_.parameters().size()) + program_.inputCount() +
                     static_cast<int64_t>(program_.constants().size());
    for (const auto& node : program_.nodes()) {
      result_ = result;
      step(NodeView(program_, node));
      result += node.outputs;
    }
    const auto output = values_.find(program_.output());
    if (output == values_.end() || output->second.l != chain_.size()) {
      throw NoChain{"its output is not the end of one chain"};
    }
    const auto isLinear = [](const Layer& layer) { return layer.linear.has_value(); };
    if (std::none_of(chain_.layers.begin(), chain_.layers.end(), isLinear)) {
      throw NoChain{"it has no linear layer"};
    }
    if (*std::min_element(chain_.widths.begin(), chain_.widths.end()) < 1) {
      throw NoChain{"a layer has no width"};
    }
    chain_.outputShape = output->second.shape;
    return std::move(chain_);
  }

 private:
  void countUses() {
    const auto use = [&](int64_t value) { ++uses_[value]; };
    for (const auto& node : program_.nodes()) {
      for (const auto& slot : node.slots) {
        if (const auto* ref = std::get_if<ProgramSpec::Ref>(&slot)) use(ref->value);
      }
    }
    use(program_.output());
  }
  bool isShared(int64_t value) const {
    const auto found = uses_.find(value);
    return found != uses_.end() && found->second > 1;
  }

  void step(const NodeView& node) {
    if (readTransposedWeight(node) || readLinear(node) || readAddition(node) || readShape(node)) {
      return;
    }
    const auto activation = activationOf(node);
    if (!activation) throw NoChain{node.name() + " is not a part of such chains"};
    const Value input = current(node, 0);
    Layer* const last = mergeable(input);
    if (last != nullptr && !last->activates()) {
      last->activation = *activation;
      define(input.shape);
    } else {
      append({std::nullopt, *activation, std::nullopt}, input.shape);
    }
  }

  /// The chain's last value, which argument i has to be.
  Value current(const NodeView& node, size_t i) const {
    const auto value = node.value(i);
    const auto found = value ? values_.find(*value) : values_.end();
    if (found == values_.end()) throw NoChain{node.name() + " does not read the chain's values"};
    if (found->second.l != chain_.size()) throw NoChain{"it branches before " + node.name()};
    return found->second;
  }
  /// The last layer, if `value` is its result, nothing else reads that, and no skip was added yet.
  Layer* mergeable(const Value& value) {
    if (chain_.layers.empty() || value.shared || chain_.layers.back().skip) return nullptr;
    return &chain_.layers.back();
  }
  void append(const Layer& layer, Shape shape) {
    chain_.layers.push_back(layer);
    chain_.widths.push_back(numbers(shape));
    define(std::move(shape));
  }
  void define(Shape shape) {
    values_.insert_or_assign(result_, Value{chain_.size(), std::move(shape), isShared(result_)});
  }

  bool readTransposedWeight(const NodeView& node) {
    if (node.name() != "aten::t" && node.name() != "aten::permute" &&
        node.name() != "aten::transpose.int") {
      return false;
    }
    const auto* weight = node.parameter(node.value(0));
    if (weight == nullptr || weight->shape.size() != 2) return false;
    if (node.name() == "aten::permute") {
      const auto order = node.constant(1).toIntVector();
      if (order != Shape{1, 0} && order != Shape{-1, -2}) return false;
    }
    if (node.name() == "aten::transpose.int" && (node.integer(1) - node.integer(2)) % 2 == 0) {
      return false;
    }
    transposed_.emplace(result_, weight);
    return true;
  }

  bool readLinear(const NodeView& node) {
    const auto transposed = [&](size_t i) -> const Program::Parameter* {
      const auto value = node.value(i);
      const auto found = value ? transposed_.find(*value) : transposed_.end();
      return found == transposed_.end() ? nullptr : found->second;
    };
    if (node.name() == "aten::linear") {
      const bool biased = node.value(2).has_value() || !node.constant(2).isNone();
      appendLinear(node, 0, node.parameter(node.value(1)), biased, node.value(2));
    } else if (node.name() == "aten::addmm") {
      if (node.number(3) != 1 || node.number(4) != 1) throw NoChain{"aten::addmm scales its terms"};
      appendLinear(node, 1, transposed(2), true, node.value(0));
    } else if (node.name() == "aten::mm" || node.name() == "aten::matmul") {
      appendLinear(node, 0, transposed(1), false, std::nullopt);
    } else {
      return false;
    }
    return true;
  }

  void appendLinear(const NodeView& node, size_t inputAt, const Program::Parameter* weight,
                    bool biased, std::optional<int64_t> biasValue) {
    const Value input = current(node, inputAt);
    if (weight == nullptr || weight->shape.size() != 2) {
      throw NoChain{"the weight of " + node.name() + " is not a parameter"};
    }
    const int64_t out = weight->shape[0];
    const int64_t in = weight->shape[1];
    if (input.shape.empty() || input.shape.back() != in || numbers(input.shape) != in) {
      throw NoChain{node.name() + " is applied to several rows of each sample"};
    }
    Linear linear{in, out, weight->offset, std::nullopt};
    if (biased) linear.bias = biasOffset(node, biasValue, out);
    Shape shape = input.shape;
    shape.back() = out;
    append({linear, {}, std::nullopt}, std::move(shape));
  }

  int64_t biasOffset(const NodeView& node, std::optional<int64_t> value, int64_t out) const {
    const auto* bias = node.parameter(value);
    if (bias == nullptr || bias->shape != Shape{out}) {
      throw NoChain{"the bias of " + node.name() + " is not a parameter"};
    }
    return bias->offset;
  }

  bool readAddition(const NodeView& node) {
    if (node.name() != "aten::add.Tensor") return false;
    if (node.number(2) != 1) throw NoChain{"aten::add scales its term"};
    const bool parameterFirst = node.parameter(node.value(0)) != nullptr;
    if (parameterFirst || node.parameter(node.value(1)) != nullptr) {
      const Value input = current(node, parameterFirst ? 1 : 0);
      Layer* const last = mergeable(input);
      if (last == nullptr || !last->linear || last->linear->bias || last->activates()) {
        throw NoChain{"a parameter is added elsewhere than after a linear layer"};
      }
      last->linear->bias = biasOffset(node, node.value(parameterFirst ? 0 : 1), last->linear->out);
      define(input.shape);
      return true;
    }
    const auto find = [&](size_t i) -> const Value& {
      const auto value = node.value(i);
      const auto found = value ? values_.find(*value) : values_.end();
      if (found == values_.end()) throw NoChain{"aten::add does not read the chain's values"};
      return found->second;
    };
    Value input = find(0);
    Value earlier = find(1);
    if (input.l < earlier.l) std::swap(input, earlier);
    if (input.l != chain_.size()) throw NoChain{"it branches before aten::add"};
    if (input.shape != earlier.shape) throw NoChain{"aten::add repeats one of its terms"};
    Layer* const last = mergeable(input);
    if (last != nullptr && earlier.l < input.l) {
      last->skip = earlier.l;
      define(input.shape);
    } else {
      append({std::nullopt, {}, earlier.l}, input.shape);
    }
    return true;
  }

  /// Operators that return the same numbers, sample by sample.
  bool readShape(const NodeView& node) {
    const std::string_view name = node.name();
    const auto value = node.value(0);
    const auto found = value ? values_.find(*value) : values_.end();
    if (found == values_.end()) return false;
    Shape shape = found->second.shape;
    const auto rank = static_cast<int64_t>(shape.size()) + 1;  // with the batch
    const auto axis = [&](size_t i, int64_t axes) {
      const int64_t d = node.integer(i);
      return (d < 0 ? d + axes : d) - 1;
    };
    if (name == "aten::dropout") {
      if (node.constant(2).toBool()) throw NoChain{"aten::dropout is random in training"};
    } else if (name == "aten::squeeze.dim") {
      const int64_t d = axis(1, rank);
      if (d < 0) throw NoChain{"aten::squeeze is applied to the batch axis"};
      if (shape[static_cast<size_t>(d)] == 1) shape.erase(shape.begin() + d);
    } else if (name == "aten::unsqueeze") {
      const int64_t d = axis(1, rank + 1);
      if (d < 0) throw NoChain{"aten::unsqueeze adds an axis before the batch"};
      shape.insert(shape.begin() + d, 1);
    } else if (name == "aten::flatten.using_ints") {
      const int64_t begin = axis(1, rank);
      const int64_t end = axis(2, rank);
      if (begin < 0) throw NoChain{"aten::flatten is applied to the batch axis"};
      const Shape part(shape.begin() + begin, shape.begin() + end + 1);
      shape.erase(shape.begin() + begin, shape.begin() + end + 1);
      shape.insert(shape.begin() + begin, numbers(part));
    } else if (name == "aten::view" || name == "aten::reshape" || name == "aten::_unsafe_view") {
      shape = reshaped(node, sizes(node, 1), numbers(shape));
    } else if (name != "aten::clone" && name != "aten::alias") {
      return false;
    }
    values_.insert_or_assign(result_, Value{found->second.l, std::move(shape),
                                            found->second.shared || isShared(result_)});
    return true;
  }

  /// A list of sizes; those that depend on values are worked out for the shapes at hand.
  Shape sizes(const NodeView& node, size_t i) const {
    const auto* computed = node.computedSizes(i);
    if (computed == nullptr) return node.constant(i).toIntVector();
    Shape result;
    for (const auto& size : *computed) result.push_back(evaluate(size));
    return result;
  }
  int64_t evaluate(const ProgramSpec::Size& size) const {
    using SizeKind = ProgramSpec::Size::Kind;
    if (size.kind == SizeKind::kConstant) return size.number;
    if (size.kind == SizeKind::kAxis) {
      const auto found = values_.find(size.number);
      if (found == values_.end()) throw NoChain{"a size depends on something beside the chain"};
      const Shape& shape = found->second.shape;
      const auto rank = static_cast<int64_t>(shape.size()) + 1;
      const int64_t axis = size.axis < 0 ? size.axis + rank : size.axis;
      return axis == 0 ? batch_ : shape.at(static_cast<size_t>(axis - 1));
    }
    if (size.kind != SizeKind::kCall) throw NoChain{"a size depends on something beside the chain"};
    std::vector<Number> operands;
    operands.reserve(size.operands.size());
    for (const auto& each : size.operands) operands.emplace_back(evaluate(each));
    return toWhole(size.function->of(operands));
  }

  Shape reshaped(const NodeView& node, const Shape& wanted, int64_t count) const {
    if (wanted.empty()) throw NoChain{node.name() + " drops the batch axis"};
    Shape shape(wanted.begin() + 1, wanted.end());
    const auto open = std::find(shape.begin(), shape.end(), -1);
    const bool batchOpen = wanted.front() == -1;
    if (open != shape.end()) {
      *open = 1;
      const int64_t known = numbers(shape);
      *open = known > 0 ? count / known : 0;
    }
    if ((!batchOpen && wanted.front() != batch_) || numbers(shape) != count) {
      throw NoChain{node.name() + " mixes samples"};
    }
    return shape;
  }

  const Program& program_;
  int64_t batch_;
  Chain chain_;
  std::map<int64_t, int64_t> uses_;
  std::map<int64_t, Value> values_;
  std::map<int64_t, const Program::Parameter*> transposed_;
  int64_t result_ = 0;  ///< value number of what the current node returns
};

}  // namespace

Recognition recognize(const Program& program, const std::vector<int64_t>& input) {
  if (program.inputCount() != 1) return {std::nullopt, "it has several inputs"};
  if (input.empty()) return {std::nullopt, "its input has no batch axis"};
  try {
    return {Reader(program, input).read(), ""};
  } catch (const NoChain& failure) {
    return {std::nullopt, failure.reason};
  }
}

}  // namespace tc::fused
