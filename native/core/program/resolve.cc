#include <ATen/ScalarOps.h>
#include <ATen/core/Reduction.h>
#include <ATen/core/jit_type.h>
#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/program/allowed_operators.h"
#include "core/program/program.h"
#include "core/program/range_checks.h"
#include "core/program/schema.h"
#include "core/program/sizes.h"
#include "core/program/slots.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

using Argument = ProgramSpec::Argument;

[[noreturn]] void malformed(const std::string& target, const c10::Argument& argument) {
  throw Error("ERR_MODEL_LOAD", "argument " + argument.name() + " of " + target + " should be " +
                                    argument.type()->repr_str());
}

constexpr double kExact = 9007199254740992.0;  // 2^53, beyond which a double is no exact integer

int64_t toInteger(double number, const std::string& target, const c10::Argument& argument) {
  // Files end a slice at the largest integer, which JSON's numbers are not exact for.
  if (argument.name() == "end" && number >= kExact - 1) return std::numeric_limits<int64_t>::max();
  if (!(std::trunc(number) == number && std::abs(number) <= kExact)) malformed(target, argument);
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
    if (type->kind() == c10::TypeKind::TensorType) return at::native::wrapped_scalar_tensor(*flag);
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (type->kind() == c10::TypeKind::StringType) return *text;
    if (type->kind() == c10::TypeKind::DeviceObjType) return c10::Device(*text);
  }
  if (const auto* forced = std::get_if<ProgramSpec::Float>(&value)) {
    if (type->kind() == c10::TypeKind::FloatType || type->kind() == c10::TypeKind::NumberType)
      return forced->value;
    if (type->kind() == c10::TypeKind::TensorType)
      return at::native::wrapped_scalar_tensor(forced->value);
  }
  if (const auto* complex = std::get_if<ProgramSpec::Complex>(&value)) {
    const c10::complex<double> number(complex->real, complex->imaginary);
    if (type->kind() == c10::TypeKind::NumberType) return number;
    if (type->kind() == c10::TypeKind::TensorType) return at::native::wrapped_scalar_tensor(number);
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
      case c10::TypeKind::TensorType:  // `mul.Tensor(x, 2)`
        if (std::trunc(*number) == *number)
          return at::native::wrapped_scalar_tensor(toInteger(*number, target, argument));
        return at::native::wrapped_scalar_tensor(*number);
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
      if (kind == c10::TypeKind::NumberType) {
        c10::impl::GenericList result(listType->getElementType());
        for (const double element : *list) {
          const bool isWhole = std::trunc(element) == element && std::abs(element) < kExact;
          result.push_back(isWhole ? c10::IValue(static_cast<int64_t>(element)) : element);
        }
        return result;
      }
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

/// The type that is looked for in `int`, `int[]` and their optional forms.
bool takesInteger(const c10::TypePtr& type, bool list) {
  const auto optional = type->cast<c10::OptionalType>();
  c10::TypePtr inner = optional ? optional->getElementType() : type;
  if (list) {
    const auto listType = inner->cast<c10::ListType>();
    if (!listType) return false;
    inner = listType->getElementType();
  }
  return inner->kind() == c10::TypeKind::IntType || inner->kind() == c10::TypeKind::SymIntType;
}

/// A number of any kind; `div.Tensor` takes one for a tensor.
bool takesNumber(const c10::TypePtr& type) {
  const auto optional = type->cast<c10::OptionalType>();
  switch ((optional ? optional->getElementType() : type)->kind()) {
    case c10::TypeKind::NumberType:
    case c10::TypeKind::FloatType:
    case c10::TypeKind::BoolType:
    case c10::TypeKind::TensorType:
      return true;
    default:
      return takesInteger(type, /*list=*/false);
  }
}

bool takesDevice(const c10::TypePtr& type) {
  const auto optional = type->cast<c10::OptionalType>();
  return (optional ? optional->getElementType() : type)->kind() == c10::TypeKind::DeviceObjType;
}

bool hasConstant(const std::vector<Program::Slot>& slots, bool (c10::IValue::*is)() const) {
  return std::ranges::any_of(slots, [&](const Program::Slot& slot) {
    const auto* constant = std::get_if<c10::IValue>(&slot);
    return constant != nullptr && (constant->*is)();
  });
}

/// Whether a tensor made of these arguments without a dtype is floating: then it has libtorch's
/// default precision, for which that of the parameters stands. `arange(5)` and `full(…, 1)` are
/// whole numbers.
bool makesFloating(const c10::FunctionSchema& schema, const std::vector<Program::Slot>& slots) {
  const std::string& name = schema.name();
  if (name != "aten::arange" && name != "aten::full") return true;
  return hasConstant(slots, &c10::IValue::isDouble);
}

void checkSize(const ProgramSpec::Size& size, const std::string& target) {
  const bool isCall = size.kind == ProgramSpec::Size::Kind::kCall;
  if (isCall != (size.function != nullptr) ||
      size.operands.size() != (isCall ? size.function->operands : 0))
    throw Error("ERR_MODEL_LOAD", target + " is given a malformed size");
  for (const ProgramSpec::Size& operand : size.operands) checkSize(operand, target);
}

/// Enumerations are whole numbers in a schema: those that name no plain, dense tensor are refused.
void checkEnumeration(const c10::IValue& value, const std::string& target,
                      const c10::Argument& argument) {
  if (!value.isInt()) return;
  const int64_t number = value.toInt();
  const auto within = [&](int64_t count) { return number >= 0 && number < count; };
  if (argument.name() == "layout" && number != static_cast<int64_t>(at::kStrided)) {
    throw Error("ERR_UNSUPPORTED_OP", target + " makes a tensor that is not strided");
  }
  if (argument.name() == "memory_format" &&
      !within(static_cast<int64_t>(at::MemoryFormat::NumOptions))) {
    malformed(target, argument);
  }
  // Of no, the mean and the sum; kernels disagree on what others are.
  if (argument.name() == "reduction" && !within(at::Reduction::END)) malformed(target, argument);
  if (argument.name() != "dtype") return;
  if (!within(static_cast<int64_t>(at::ScalarType::NumOptions))) malformed(target, argument);
  const auto type = static_cast<at::ScalarType>(number);
  const bool plain = type == at::kBool || type == at::kHalf || type == at::kBFloat16 ||
                     c10::isIntegralType(type, /*includeBool=*/false) || type == at::kFloat ||
                     type == at::kDouble || type == at::kComplexFloat || type == at::kComplexDouble;
  if (!plain) {
    throw Error("ERR_UNSUPPORTED_OP", target + " makes a tensor of the type " +
                                          c10::toString(type) + ", which models cannot use");
  }
}

}  // namespace

Program::Node Program::resolve(const ProgramSpec::Node& node, int64_t known) const {
  Node result{findOperator(node.target), {}, node.outputs, node.required, {}};
  requireAllowed(result.op);
  result.check = findArgumentCheck(result.op);
  result.preparation = findArgumentPreparation(result.op);
  result.rangeCheck = findRangeCheck(result.op);
  const auto& schema = result.op.schema();
  if (!returnsList(schema) && static_cast<int64_t>(schema.returns().size()) != node.outputs) {
    throw Error("ERR_MODEL_LOAD",
                node.target + " returns " + std::to_string(schema.returns().size()) +
                    " values, the program expects " + std::to_string(node.outputs));
  }
  if (node.args.size() > schema.arguments().size()) {
    throw Error("ERR_MODEL_LOAD", node.target + " is given more arguments than it takes");
  }
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
    const bool none = given == nullptr
                          ? argument.default_value() && argument.default_value()->isNone()
                          : std::holds_alternative<std::monostate>(*given);
    if (none && argument.name() == "dtype" && makesTensor(schema)) {
      if (hasConstant(result.slots, &c10::IValue::isComplexDouble)) {
        result.slots.emplace_back(ProgramSpec::ComplexPrecision{});
      } else if (makesFloating(schema, result.slots)) {
        result.slots.emplace_back(ProgramSpec::Precision{});
      } else {
        result.slots.emplace_back(c10::IValue());
      }
    } else if (given == nullptr) {
      if (!argument.default_value()) {
        throw Error("ERR_MODEL_LOAD", node.target + " lacks its argument " + argument.name());
      }
      // Without a tensor to follow, a new tensor would go to the CPU.
      if (takesDevice(argument.type()) && makesTensor(schema)) {
        result.slots.emplace_back(DeviceOfParameters{});
      } else {
        result.slots.emplace_back(*argument.default_value());
      }
    } else if (takesDevice(argument.type()) &&
               (makesTensor(schema) || !std::holds_alternative<std::monostate>(*given))) {
      // A device written into a model file is where it was exported.
      result.slots.emplace_back(DeviceOfParameters{});
    } else if (const auto* ref = std::get_if<ProgramSpec::Ref>(given)) {
      if (!takesTensor(argument.type())) malformed(node.target, argument);
      result.slots.emplace_back(*ref);
    } else if (const auto* refs = std::get_if<ProgramSpec::Refs>(given)) {
      if (!takesTensorList(argument.type())) malformed(node.target, argument);
      for (const auto& value : refs->values) {
        if (!value && !hasOptionalElements(argument.type())) malformed(node.target, argument);
      }
      result.slots.emplace_back(*refs);
    } else if (const auto* size = std::get_if<ProgramSpec::Size>(given)) {
      if (!takesNumber(argument.type())) malformed(node.target, argument);
      checkSize(*size, node.target);
      result.slots.emplace_back(*size);
    } else if (const auto* sizes = std::get_if<ProgramSpec::Sizes>(given)) {
      if (!takesInteger(argument.type(), /*list=*/true)) malformed(node.target, argument);
      for (const ProgramSpec::Size& each : *sizes) checkSize(each, node.target);
      result.slots.emplace_back(*sizes);
    } else if (std::holds_alternative<ProgramSpec::Precision>(*given)) {
      if (!takesInteger(argument.type(), /*list=*/false)) malformed(node.target, argument);
      result.slots.emplace_back(ProgramSpec::Precision{});
    } else if (std::holds_alternative<ProgramSpec::ComplexPrecision>(*given)) {
      if (!takesInteger(argument.type(), /*list=*/false)) malformed(node.target, argument);
      result.slots.emplace_back(ProgramSpec::ComplexPrecision{});
    } else if (const auto* dtype = std::get_if<ProgramSpec::DtypeOf>(given)) {
      if (!takesInteger(argument.type(), /*list=*/false)) malformed(node.target, argument);
      result.slots.emplace_back(*dtype);
    } else {
      c10::IValue value = toConstant(*given, argument.type(), node.target, argument);
      checkEnumeration(value, node.target, argument);
      result.slots.emplace_back(std::move(value));
    }
  }
  if (used != node.kwargs.size()) {
    throw Error("ERR_MODEL_LOAD", node.target + " is given a named argument that it does not have");
  }
  for (const Slot& slot : result.slots) {
    forEachValue(slot, [&](int64_t value) {
      if (value < 0 || value >= known)
        throw Error("ERR_MODEL_LOAD", node.target + " reads a value before it exists");
    });
  }
  refuseStochastic(result.op, result.slots);
  return result;
}

}  // namespace tc
