#include "core/program/program.h"

#include <ATen/ScalarOps.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/jit_type.h>
#include <ATen/ops/where.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "core/program/functional.h"
#include "core/program/result_shape.h"
#include "core/program/rewriting/rewrite.h"
#include "core/program/schema.h"
#include "core/program/sizes.h"
#include "core/program/slots.h"
#include "core/runtime/error.h"
#include "core/runtime/lazy.h"
#include "core/runtime/stop.h"

namespace tc {
namespace {

/// The largest number of float32.
constexpr double kFloatMost = std::numeric_limits<float>::max();

bool isBeyondFloat(double value) { return std::isfinite(value) && std::abs(value) > kFloatMost; }

/// Whether it holds finite numbers beyond float32.
bool isWide(const at::Tensor& constant) {
  if (constant.scalar_type() != at::kDouble || constant.numel() == 0) return false;
  return (constant.isfinite() & (constant.abs() > kFloatMost)).any().item<bool>();
}

/// A number of an exported graph for a run in float32.
c10::IValue withinFloat(const c10::IValue& constant) {
  const auto within = [](double value) { return std::clamp(value, -kFloatMost, kFloatMost); };
  if (constant.isDouble() && isBeyondFloat(constant.toDouble())) return within(constant.toDouble());
  if (constant.isTensor() && constant.toTensor().defined() &&
      constant.toTensor().unsafeGetTensorImpl()->is_wrapped_number() &&
      constant.toTensor().scalar_type() == at::kDouble &&
      isBeyondFloat(constant.toTensor().item<double>()))
    return at::native::wrapped_scalar_tensor(within(constant.toTensor().item<double>()));
  return constant;
}

c10::IValue gather(const ProgramSpec::Refs& refs, bool optional,
                   const std::vector<at::Tensor>& values) {
  if (!optional) {
    c10::List<at::Tensor> list;
    for (const auto& value : refs.values)
      list.push_back(value ? values[static_cast<size_t>(*value)] : at::Tensor());
    return list;
  }
  c10::List<std::optional<at::Tensor>> list;
  for (const auto& value : refs.values) {
    list.push_back(value ? std::optional(values[static_cast<size_t>(*value)]) : std::nullopt);
  }
  return list;
}

/// A number as an argument of this type.
c10::IValue toArgument(const Number& number, const c10::Type& type) {
  const auto* whole = std::get_if<int64_t>(&number);
  switch (type.kind()) {
    case c10::TypeKind::OptionalType:
      return toArgument(number, *type.castRaw<c10::OptionalType>()->getElementType());
    case c10::TypeKind::TensorType:
      return at::native::wrapped_scalar_tensor(whole ? at::Scalar(*whole)
                                                     : at::Scalar(toReal(number)));
    case c10::TypeKind::FloatType:
      return toReal(number);
    case c10::TypeKind::NumberType:
      return whole ? c10::IValue(*whole) : c10::IValue(toReal(number));
    case c10::TypeKind::BoolType:
      return toReal(number) != 0;
    default:
      return toWhole(number);
  }
}

torch::jit::Stack arguments(const Program::Node& node, const at::Tensor& leading,
                            const std::vector<at::Tensor>& values) {
  torch::jit::Stack stack;
  stack.reserve(node.slots.size());
  for (size_t i = 0; i < node.slots.size(); ++i) {
    const Program::Slot& slot = node.slots[i];
    if (const auto* constant = std::get_if<c10::IValue>(&slot)) {
      stack.push_back(leading.scalar_type() == at::kFloat ? withinFloat(*constant) : *constant);
    } else if (const auto* ref = std::get_if<ProgramSpec::Ref>(&slot)) {
      stack.emplace_back(values[static_cast<size_t>(ref->value)]);
    } else if (const auto* refs = std::get_if<ProgramSpec::Refs>(&slot)) {
      stack.push_back(
          gather(*refs, hasOptionalElements(node.op.schema().arguments()[i].type()), values));
    } else if (const auto* size = std::get_if<ProgramSpec::Size>(&slot)) {
      stack.push_back(toArgument(evaluate(*size, values), *node.op.schema().arguments()[i].type()));
    } else if (const auto* sizes = std::get_if<ProgramSpec::Sizes>(&slot)) {
      c10::List<int64_t> list;
      for (const auto& each : *sizes) list.push_back(toWhole(evaluate(each, values)));
      stack.emplace_back(std::move(list));
    } else if (const auto* dtype = std::get_if<ProgramSpec::DtypeOf>(&slot)) {
      stack.emplace_back(values[static_cast<size_t>(dtype->value)].scalar_type());
    } else if (std::holds_alternative<ProgramSpec::Precision>(slot)) {
      stack.emplace_back(leading.scalar_type());
    } else if (std::holds_alternative<ProgramSpec::ComplexPrecision>(slot)) {
      stack.emplace_back(c10::toComplexType(leading.scalar_type()));
    } else {
      stack.emplace_back(leading.device());
    }
  }
  return stack;
}

/// Appends what the node's operator left on the stack.
/// libtorch looks at some sizes too late: where another axis is empty, it takes those below zero.
void requireSizes(const Program::Node& node, at::TensorList results) {
  for (const at::Tensor& each : results) {
    if (!each.defined() || std::ranges::all_of(each.sizes(), [](int64_t n) { return n >= 0; }))
      continue;
    throw Error("ERR_SHAPE_MISMATCH",
                node.op.schema().name() + " gives a size below zero, " + c10::str(each.sizes()));
  }
}

void append(const Program::Node& node, torch::jit::Stack stack, std::vector<at::Tensor>& values) {
  if (stack.size() == 1 && stack.front().isTensorList()) {
    const auto list = stack.front().toTensorVector();
    const auto count = static_cast<int64_t>(list.size());
    if (count < node.outputs || (node.required && count > node.outputs)) {
      throw Error("ERR_SHAPE_MISMATCH",
                  node.op.schema().name() + " gives " + std::to_string(list.size()) +
                      " tensors, the model expects " + std::to_string(node.outputs));
    }
    requireSizes(node, list);
    std::transform(list.begin(), list.begin() + node.outputs, std::back_inserter(values), asStored);
    return;
  }
  for (auto& result : stack) {
    values.push_back(result.isTensor() ? asStored(std::move(result).toTensor()) : at::Tensor());
    requireSizes(node, values.back());
  }
}

}  // namespace

bool ProgramSpec::Port::hasRows() const {
  if (shape.empty()) return false;
  const auto* name = std::get_if<std::string>(&shape.front());
  return name != nullptr && *name == "batch";
}

Program::Program(const ProgramSpec& spec)
    : inputs_(spec.inputs),
      outputs_(spec.outputs),
      returned_(spec.returned),
      outputsSeen_(spec.outputs.empty()),
      batch_(spec.batch),
      constants_(spec.constants),
      output_(spec.output) {
  if (batch_ && *batch_ < 1) throw Error("ERR_MODEL_LOAD", "the program's batch has no rows");
  if (std::none_of(inputs_.begin(), inputs_.end(), [](const auto& each) { return each.hasRows(); }))
    throw Error("ERR_MODEL_LOAD", "no input of the program has the batch as its first axis");
  for (const at::Tensor& constant : constants_) wide_.push_back(isWide(constant));
  for (const auto& parameter : spec.parameters) {
    int64_t length = 1;
    for (const int64_t size : parameter.shape) {
      if (size < 0 || __builtin_mul_overflow(length, size, &length)) {
        throw Error("ERR_MODEL_LOAD", "parameter " + parameter.name + " has an impossible shape");
      }
    }
    parameters_.push_back({parameter.name, parameter.shape, parameterCount_, length});
    if (__builtin_add_overflow(parameterCount_, length, &parameterCount_)) {
      throw Error("ERR_MODEL_LOAD", "the parameters are too many to count");
    }
  }
  values_ = static_cast<int64_t>(parameters_.size() + inputs_.size() + constants_.size());
  int64_t output = spec.output;
  const auto pure = functional(spec, output);
  for (const auto& node : rewritten(pure, values_, output)) {
    if (node.outputs < 1) throw Error("ERR_MODEL_LOAD", node.target + " produces no value");
    nodes_.push_back(resolve(node, values_));
    values_ += node.outputs;
  }
  output_ = output;
  if (output_ < 0 || output_ >= values_)
    throw Error("ERR_MODEL_LOAD", "the program's output is no value of it");

  std::vector<bool> needed(static_cast<size_t>(values_), false);
  needed[static_cast<size_t>(output_)] = true;
  const auto use = [&](Node& node, int64_t value) {
    if (!needed[static_cast<size_t>(value)]) node.lastUses.push_back(value);
    needed[static_cast<size_t>(value)] = true;
  };
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    for (const Slot& slot : node->slots)
      forEachValue(slot, [&](int64_t value) { use(*node, value); });
  }
  if (outputs_.empty()) {
    outputs_.push_back(resultShape(*this));
    returned_ = 0;
  }
  if (returned_ >= outputs_.size())
    throw Error("ERR_MODEL_LOAD", "the program returns none of its outputs");
}

std::vector<at::Tensor> Program::constantsIn(at::ScalarType precision, c10::Device device) const {
  std::vector<at::Tensor> found;
  found.reserve(constants_.size());
  for (size_t i = 0; i < constants_.size(); ++i) {
    const at::Tensor& constant = constants_[i];
    const bool narrowed = wide_[i] && precision == at::kFloat;
    const at::Tensor& each =
        narrowed ? at::where(constant.isinf(), constant, constant.clamp(-kFloatMost, kFloatMost))
                 : constant;
    found.push_back(each.to(device, each.is_floating_point() ? precision : each.scalar_type()));
  }
  return found;
}

std::vector<at::Tensor> Program::unflatten(const at::Tensor& flat) const {
  std::vector<at::Tensor> views;
  views.reserve(parameters_.size());
  for (const auto& parameter : parameters_) {
    views.push_back(flat.narrow(0, parameter.offset, parameter.length).view(parameter.shape));
  }
  return views;
}

void Program::call(const Node& node, const at::Tensor& leading, std::vector<at::Tensor>& values,
                   const Observer& observer, const Caller& caller) {
  torch::jit::Stack stack = arguments(node, leading, values);
  if (node.rangeCheck != nullptr && !leading.is_meta()) node.rangeCheck(node.op.schema(), stack);
  if (node.check != nullptr) node.check(node.op.schema(), stack);
  const torch::jit::Stack seen = observer ? stack : torch::jit::Stack();
  if (node.preparation != nullptr) node.preparation(stack);
  if (!caller || !caller(node, stack)) node.op.callBoxed(stack);
  for (const int64_t value : node.lastUses) values[static_cast<size_t>(value)].reset();
  append(node, std::move(stack), values);
  if (observer) observer(node, seen, values);
}

/// Whose device and precision the tensors have that nodes make: the first of floating numbers. A
/// model without parameters may take integers and have its floating numbers in constants.
static at::Tensor leadingOf(at::TensorList parameters, at::TensorList inputs,
                            at::TensorList constants) {
  for (const at::TensorList list : {parameters, inputs, constants}) {
    for (const at::Tensor& each : list) {
      if (each.is_floating_point()) return each;
    }
  }
  return inputs.front();
}

at::Tensor Program::run(at::TensorList parameters, at::TensorList inputs, at::TensorList constants,
                        const Observer& observer, const Caller& caller) const {
  std::vector<at::Tensor> values;
  values.reserve(static_cast<size_t>(values_));
  values.insert(values.end(), parameters.begin(), parameters.end());
  values.insert(values.end(), inputs.begin(), inputs.end());
  values.insert(values.end(), constants.begin(), constants.end());
  const at::Tensor leading = leadingOf(parameters, inputs, constants);
  for (const Node& node : nodes_) {
    StopScope::poll();
    call(node, leading, values, observer, caller);
  }
  const at::Tensor& output = values[static_cast<size_t>(output_)];
  if (output.is_complex()) {
    throw Error("ERR_DTYPE_MISMATCH",
                "the model's result is of complex numbers; end its forward with "
                "torch.view_as_real(y), or export it with torch.export");
  }
  return output;
}

}  // namespace tc
