#include "core/program/torchscript/arguments.h"

#include <ATen/core/List.h>
#include <ATen/core/jit_type.h>

#include <algorithm>
#include <limits>

#include "core/program/sizes.h"
#include "core/program/torchscript/tensors.h"
#include "core/runtime/error.h"

namespace tc::torchscript {
namespace {

using Size = ProgramSpec::Size;

Error unsupported(const std::string& op, const std::string& reason) {
  return Error("ERR_UNSUPPORTED_OP", op + " " + reason);
}

/// "To the end", as slices have it, is the largest integer; a double holds one that is as good.
double toNumber(int64_t value, const std::string& op) {
  constexpr int64_t kLimit = int64_t{1} << 53;
  if (value == std::numeric_limits<int64_t>::max() && op.starts_with("aten::slice"))
    return static_cast<double>(kLimit);
  if (value > kLimit || value < -kLimit)
    throw unsupported(op, "is given the whole number " + std::to_string(value) + ", beyond ±2^53");
  return static_cast<double>(value);
}

bool isInteger(const c10::TypePtr& type) {
  if (const auto optional = type->cast<c10::OptionalType>())
    return isInteger(optional->getElementType());
  return type->kind() == c10::TypeKind::IntType || type->kind() == c10::TypeKind::SymIntType;
}

bool isTensorList(const c10::TypePtr& type) {
  if (const auto optional = type->cast<c10::OptionalType>())
    return isTensorList(optional->getElementType());
  const auto list = type->cast<c10::ListType>();
  if (!list) return false;
  const auto optional = list->getElementType()->cast<c10::OptionalType>();
  return (optional ? optional->getElementType() : list->getElementType())->kind() ==
         c10::TypeKind::TensorType;
}

/// A dtype written into the model. That of its parameters stands for theirs at the time of a run.
ProgramSpec::Argument toDtype(int64_t number, const std::string& op, const Precisions& precisions) {
  const auto type = static_cast<at::ScalarType>(number);
  if (number < 0 || number >= static_cast<int64_t>(at::ScalarType::NumOptions))
    throw Error("ERR_MODEL_LOAD", op + " is given an unknown dtype");
  if (!at::isFloatingType(type) && !at::isComplexType(type)) return static_cast<double>(number);
  const bool plain = type == at::kFloat || type == at::kDouble;
  if (type == precisions.model || (plain && (precisions.makesTensor || type == precisions.data)))
    return ProgramSpec::Precision{};
  // What was complex64 may be computed in more digits, not in fewer.
  if (type == at::kComplexFloat || type == c10::toComplexType(precisions.model))
    return ProgramSpec::ComplexPrecision{};
  throw unsupported(op, std::string("converts to ") + at::toString(type) +
                            "; a model in one precision, float32 or float64, is needed");
}

/// Whether the numbers of a tensor of the model may be read while loading: they are constants, and
/// lie inside its memory.
bool isReadable(const at::Tensor& tensor) {
  constexpr int64_t kMost = 100'000;
  const auto type = tensor.scalar_type();
  const bool plain =
      type == at::kFloat || type == at::kDouble || at::isIntegralType(type, /*includeBool=*/true);
  if (!plain || tensor.requires_grad() || tensor.layout() != at::kStrided ||
      !tensor.device().is_cpu() || tensor.numel() > kMost) {
    return false;
  }
  return liesInside(tensor);
}

ProgramSpec::Argument toConstant(const c10::IValue& value, const std::string& op) {
  if (value.isNone()) return std::monostate{};
  if (value.isBool()) return value.toBool();
  if (value.isInt()) return toNumber(value.toInt(), op);
  if (value.isDouble()) return ProgramSpec::Float{value.toDouble()};
  if (value.isComplexDouble()) {
    const c10::complex<double> number = value.toComplexDouble();
    return ProgramSpec::Complex{number.real(), number.imag()};
  }
  if (value.isString()) return value.toStringRef();
  if (value.isDevice()) return std::string("cpu");
  throw unsupported(op, "is given a constant of type " + value.tagKind());
}

ProgramSpec::Argument toList(const std::vector<Item>& items, const c10::Argument& formal,
                             const std::string& op) {
  if (isTensorList(formal.type())) {
    ProgramSpec::Refs refs;
    for (const Item& item : items) {
      if (const auto* tensor = std::get_if<TensorItem>(&item)) {
        refs.values.emplace_back(tensor->id);
      } else if (const auto* value = std::get_if<c10::IValue>(&item); value && value->isNone()) {
        refs.values.emplace_back(std::nullopt);
      } else {
        throw unsupported(op, "is given a list with something that is no tensor");
      }
    }
    return refs;
  }
  const bool constant = std::all_of(items.begin(), items.end(), [](const Item& item) {
    return std::holds_alternative<c10::IValue>(item);
  });
  if (!constant) {
    ProgramSpec::Sizes sizes;
    sizes.reserve(items.size());
    for (const Item& item : items) sizes.push_back(toSize(item, op));
    return sizes;
  }
  std::vector<double> numbers;
  for (const Item& item : items) {
    const auto& value = std::get<c10::IValue>(item);
    if (value.isInt()) {
      numbers.push_back(toNumber(value.toInt(), op));
    } else if (value.isDouble()) {
      numbers.push_back(value.toDouble());
    } else if (value.isBool()) {
      numbers.push_back(value.toBool() ? 1 : 0);
    } else {
      throw unsupported(op, "is given a list of " + value.tagKind());
    }
  }
  return numbers;
}

}  // namespace

bool isOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

std::vector<Item> elements(const Item& item, const std::string& op) {
  if (const auto* list = std::get_if<std::shared_ptr<List>>(&item)) return (*list)->items;
  std::vector<Item> items;
  if (const auto* value = std::get_if<c10::IValue>(&item)) {
    if (value->isList()) {
      for (const c10::IValue& element : value->toListRef()) items.emplace_back(element);
      return items;
    }
    if (value->isTuple()) {
      for (const c10::IValue& element : value->toTupleRef().elements()) items.emplace_back(element);
      return items;
    }
  }
  throw unsupported(op, "takes a list whose length is known only when the model runs");
}

std::optional<c10::IValue> numberOf(const at::Tensor& tensor) {
  if (tensor.numel() != 1 || !isReadable(tensor)) return std::nullopt;
  const at::Scalar number = tensor.item();
  if (number.isBoolean()) return c10::IValue(number.toBool());
  if (number.isIntegral(/*includeBool=*/false)) return c10::IValue(number.toLong());
  return c10::IValue(number.toDouble());
}

std::optional<Item> listOfNumbers(const at::Tensor& tensor) {
  if (!isReadable(tensor)) return std::nullopt;
  if (tensor.dim() == 0) return numberOf(tensor);
  List list;
  for (const at::Tensor& part : tensor.unbind()) {
    auto numbers = listOfNumbers(part);
    if (!numbers) return std::nullopt;
    list.items.push_back(std::move(*numbers));
  }
  return std::make_shared<List>(std::move(list));
}

bool isWhole(const Size& size) {
  if (size.kind != Size::Kind::kCall) return size.kind != Size::Kind::kReal;
  const std::string_view name = size.function->name;
  if (isOneOf(name, {"floor", "ceil", "truncate"})) return true;
  return isOneOf(name, {"+", "-", "*", "//", "%", "negative", "minimum", "maximum"}) &&
         std::ranges::all_of(size.operands, isWhole);
}

std::optional<int64_t> wholeNumber(const Item& item) {
  const auto* size = std::get_if<Size>(&item);
  if (size != nullptr && size->kind == Size::Kind::kConstant) return size->number;
  const auto* value = std::get_if<c10::IValue>(&item);
  if (value == nullptr) return std::nullopt;
  if (value->isInt()) return value->toInt();
  if (!value->isTensor() || !value->toTensor().defined() || value->toTensor().dim() != 0)
    return std::nullopt;
  const auto number = numberOf(value->toTensor());
  return number && number->isInt() ? std::optional(number->toInt()) : std::nullopt;
}

Size toSize(const Item& item, const std::string& op) {
  if (const auto* size = std::get_if<Size>(&item)) return *size;
  if (const auto number = wholeNumber(item)) return {Size::Kind::kConstant, *number, 0, {}};
  if (const auto* value = std::get_if<c10::IValue>(&item); value && value->isDouble()) {
    Size size;
    size.kind = Size::Kind::kReal;
    size.real = value->toDouble();
    return size;
  }
  throw unsupported(op, "needs a size that is known only when the model runs");
}

ProgramSpec::Argument toArgument(const Item& item, const c10::Argument& formal,
                                 const std::string& op, const Precisions& precisions) {
  if (const auto* tensor = std::get_if<TensorItem>(&item)) return ProgramSpec::Ref{tensor->id};
  if (const auto* dtype = std::get_if<ProgramSpec::DtypeOf>(&item)) return *dtype;
  if (std::holds_alternative<DeviceItem>(item)) return std::string("cpu");
  if (const auto* size = std::get_if<Size>(&item)) return *size;
  if (const auto* unknown = std::get_if<UnknownItem>(&item)) {
    throw unsupported(
        op, "needs the result of " + unknown->origin + ", which is known only when the model runs");
  }
  if (std::holds_alternative<SizesItem>(item))
    throw unsupported(op, "needs all sizes of a tensor whose number of axes is not known");
  if (std::holds_alternative<std::shared_ptr<List>>(item))
    return toList(elements(item, op), formal, op);
  const auto& value = std::get<c10::IValue>(item);
  if (value.isInt() && formal.name() == "dtype" && isInteger(formal.type()))
    return toDtype(value.toInt(), op, precisions);
  if (value.isList()) return toList(elements(item, op), formal, op);
  return toConstant(value, op);
}

}  // namespace tc::torchscript
