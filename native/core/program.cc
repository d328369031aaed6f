#include "core/program.h"

#include <ATen/core/jit_type.h>
#include <c10/util/Exception.h>

#include <cmath>

#include "core/error.h"

namespace tc {
namespace {

using Argument = ProgramSpec::Argument;

c10::OperatorHandle findOperator(const std::string& target) {
  const auto colon = target.find("::");
  const auto dot = target.find('.', colon == std::string::npos ? 0 : colon);
  const std::string name = target.substr(0, dot);
  const std::string overload = dot == std::string::npos ? "" : target.substr(dot + 1);
  auto op = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!op) throw Error("ERR_UNSUPPORTED_OP", "this libtorch has no operator " + target);
  if (op->schema().is_mutable()) {
    throw Error("ERR_UNSUPPORTED_OP",
                target + " changes its inputs in place; export the model in functional form");
  }
  return *op;
}

[[noreturn]] void malformed(const std::string& target, const c10::Argument& argument) {
  throw Error("ERR_MODEL_LOAD", "argument " + argument.name() + " of " + target + " should be " +
                                    argument.type()->repr_str());
}

int64_t toInteger(double number, const std::string& target, const c10::Argument& argument) {
  constexpr double kLimit = 9007199254740992.0;  // 2^53, beyond which a double is no exact integer
  if (!(std::trunc(number) == number && std::abs(number) <= kLimit)) malformed(target, argument);
  return static_cast<int64_t>(number);
}

/// A constant argument as the type that the operator's schema asks for.
c10::IValue toConstant(const Argument& value, const c10::TypePtr& type, const std::string& target,
                       const c10::Argument& argument) {
  if (const auto optional = type->cast<c10::OptionalType>()) {
    if (std::holds_alternative<std::monostate>(value)) return c10::IValue();
    return toConstant(value, optional->getElementType(), target, argument);
  }
  if (const auto* flag = std::get_if<bool>(&value)) {
    if (type->kind() == c10::TypeKind::BoolType || type->kind() == c10::TypeKind::NumberType)
      return *flag;
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (type->kind() == c10::TypeKind::StringType) return *text;
    if (type->kind() == c10::TypeKind::DeviceObjType) return c10::Device(*text);
  }
  if (const auto* forced = std::get_if<ProgramSpec::Float>(&value)) {
    if (type->kind() == c10::TypeKind::FloatType || type->kind() == c10::TypeKind::NumberType)
      return forced->value;
  }
  if (const auto* number = std::get_if<double>(&value)) {
    switch (type->kind()) {
      case c10::TypeKind::IntType:
      case c10::TypeKind::SymIntType:
        return toInteger(*number, target, argument);
      case c10::TypeKind::FloatType:
        return *number;
      case c10::TypeKind::NumberType:
        if (std::trunc(*number) == *number) return toInteger(*number, target, argument);
        return *number;
      default:
        break;
    }
  }
  if (const auto* list = std::get_if<std::vector<double>>(&value)) {
    if (const auto listType = type->cast<c10::ListType>()) {
      const auto kind = listType->getElementType()->kind();
      if (kind == c10::TypeKind::IntType || kind == c10::TypeKind::SymIntType) {
        c10::List<int64_t> result;
        for (const double element : *list) result.push_back(toInteger(element, target, argument));
        return result;
      }
      if (kind == c10::TypeKind::FloatType) return c10::List<double>(at::ArrayRef<double>(*list));
      if (kind == c10::TypeKind::BoolType) {
        c10::List<bool> result;
        for (const double element : *list) result.push_back(element != 0);
        return result;
      }
    }
  }
  malformed(target, argument);
}

bool takesTensor(const c10::TypePtr& type) {
  const auto optional = type->cast<c10::OptionalType>();
  return (optional ? optional->getElementType() : type)->kind() == c10::TypeKind::TensorType;
}

bool takesTensorList(const c10::TypePtr& type) {
  const auto optional = type->cast<c10::OptionalType>();
  const auto list = (optional ? optional->getElementType() : type)->cast<c10::ListType>();
  return list && takesTensor(list->getElementType());
}

bool optionalElements(const c10::TypePtr& type) {
  const auto list = type->cast<c10::ListType>();
  return list && list->getElementType()->kind() == c10::TypeKind::OptionalType;
}

}  // namespace

Program::Program(const ProgramSpec& spec)
    : inputs_(spec.inputs), constants_(spec.constants), output_(spec.output) {
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
  values_ =
      static_cast<int64_t>(parameters_.size()) + inputs_ + static_cast<int64_t>(constants_.size());
  for (const auto& node : spec.nodes) {
    if (node.outputs < 1) throw Error("ERR_MODEL_LOAD", node.target + " produces no value");
    nodes_.push_back(resolve(node, values_));
    values_ += node.outputs;
  }
  if (output_ < 0 || output_ >= values_)
    throw Error("ERR_MODEL_LOAD", "the program's output is no value of it");

  std::vector<bool> needed(static_cast<size_t>(values_), false);
  needed[static_cast<size_t>(output_)] = true;
  const auto use = [&](Node& node, int64_t value) {
    if (!needed[static_cast<size_t>(value)]) node.lastUses.push_back(value);
    needed[static_cast<size_t>(value)] = true;
  };
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    for (const Slot& slot : node->slots) {
      if (const auto* ref = std::get_if<ProgramSpec::Ref>(&slot)) use(*node, ref->value);
      if (const auto* refs = std::get_if<ProgramSpec::Refs>(&slot)) {
        for (const auto& value : refs->values) {
          if (value) use(*node, *value);
        }
      }
    }
  }
}

Program::Node Program::resolve(const ProgramSpec::Node& node, int64_t known) const {
  Node result{findOperator(node.target), {}, node.outputs, {}};
  const auto& schema = result.op.schema();
  if (static_cast<int64_t>(schema.returns().size()) != node.outputs) {
    throw Error("ERR_MODEL_LOAD",
                node.target + " returns " + std::to_string(schema.returns().size()) +
                    " values, the program expects " + std::to_string(node.outputs));
  }
  if (node.args.size() > schema.arguments().size()) {
    throw Error("ERR_MODEL_LOAD", node.target + " is given more arguments than it takes");
  }
  const auto checked = [&](int64_t value) {
    if (value < 0 || value >= known)
      throw Error("ERR_MODEL_LOAD", node.target + " reads a value before it exists");
    return value;
  };
  size_t used = 0;
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    const auto& argument = schema.arguments()[i];
    const Argument* given = nullptr;
    if (i < node.args.size()) {
      given = &node.args[i];
    } else if (const auto named = node.kwargs.find(argument.name()); named != node.kwargs.end()) {
      given = &named->second;
      ++used;
    }
    if (given == nullptr) {
      if (!argument.default_value()) {
        throw Error("ERR_MODEL_LOAD", node.target + " lacks its argument " + argument.name());
      }
      result.slots.emplace_back(*argument.default_value());
    } else if (const auto* ref = std::get_if<ProgramSpec::Ref>(given)) {
      if (!takesTensor(argument.type())) malformed(node.target, argument);
      result.slots.emplace_back(ProgramSpec::Ref{checked(ref->value)});
    } else if (const auto* refs = std::get_if<ProgramSpec::Refs>(given)) {
      if (!takesTensorList(argument.type())) malformed(node.target, argument);
      for (const auto& value : refs->values) {
        if (value) {
          checked(*value);
        } else if (!optionalElements(argument.type())) {
          malformed(node.target, argument);
        }
      }
      result.slots.emplace_back(*refs);
    } else {
      result.slots.emplace_back(toConstant(*given, argument.type(), node.target, argument));
    }
  }
  if (used != node.kwargs.size()) {
    throw Error("ERR_MODEL_LOAD", node.target + " is given a named argument that it does not have");
  }
  return result;
}

std::vector<at::Tensor> Program::unflatten(const at::Tensor& flat) const {
  std::vector<at::Tensor> views;
  views.reserve(parameters_.size());
  for (const auto& parameter : parameters_) {
    views.push_back(flat.narrow(0, parameter.offset, parameter.length).view(parameter.shape));
  }
  return views;
}

at::Tensor Program::run(at::TensorList parameters, at::TensorList inputs,
                        at::TensorList constants) const {
  std::vector<at::Tensor> values;
  values.reserve(static_cast<size_t>(values_));
  values.insert(values.end(), parameters.begin(), parameters.end());
  values.insert(values.end(), inputs.begin(), inputs.end());
  values.insert(values.end(), constants.begin(), constants.end());

  torch::jit::Stack stack;
  for (const Node& node : nodes_) {
    stack.clear();
    for (const Slot& slot : node.slots) {
      if (const auto* constant = std::get_if<c10::IValue>(&slot)) {
        stack.push_back(*constant);
      } else if (const auto* ref = std::get_if<ProgramSpec::Ref>(&slot)) {
        stack.emplace_back(values[static_cast<size_t>(ref->value)]);
      } else {
        const auto& refs = std::get<ProgramSpec::Refs>(slot);
        const bool optional = optionalElements(
            node.op.schema().arguments()[static_cast<size_t>(&slot - node.slots.data())].type());
        if (optional) {
          c10::List<std::optional<at::Tensor>> list;
          for (const auto& value : refs.values) {
            list.push_back(value ? std::optional(values[static_cast<size_t>(*value)])
                                 : std::nullopt);
          }
          stack.emplace_back(std::move(list));
        } else {
          c10::List<at::Tensor> list;
          for (const auto& value : refs.values) list.push_back(values[static_cast<size_t>(*value)]);
          stack.emplace_back(std::move(list));
        }
      }
    }
    node.op.callBoxed(stack);
    for (const int64_t value : node.lastUses) values[static_cast<size_t>(value)].reset();
    for (auto& result : stack) {
      values.push_back(result.isTensor() ? std::move(result).toTensor() : at::Tensor());
    }
  }
  return values[static_cast<size_t>(output_)];
}

}  // namespace tc
