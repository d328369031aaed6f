#include <ATen/core/List.h>
#include <ATen/core/jit_type.h>
#include <ATen/core/stack.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/program/sizes.h"
#include "core/program/torchscript/arguments.h"
#include "core/program/torchscript/interpreter.h"
#include "core/runtime/error.h"

namespace tc::torchscript {
namespace {

namespace jit = torch::jit;
using Size = ProgramSpec::Size;

/// Terms of a size: each use of a size copies it, so a few lines could make it grow without end.
constexpr int64_t kTerms = 256;

const c10::IValue* constant(const Item& item) { return std::get_if<c10::IValue>(&item); }

bool isTensor(const Item& item) {
  const auto* value = constant(item);
  return std::holds_alternative<TensorItem>(item) || (value != nullptr && value->isTensor());
}

/// The constant that an item is, also a list made of constants.
std::optional<c10::IValue> constantOf(const Item& item, const c10::TypePtr& type) {
  if (const auto* value = constant(item)) return *value;
  if (const auto* size = std::get_if<Size>(&item)) {
    if (size->kind == Size::Kind::kConstant) return c10::IValue(size->number);
    if (size->kind == Size::Kind::kReal) return c10::IValue(size->real);
    return std::nullopt;
  }
  const auto* list = std::get_if<std::shared_ptr<List>>(&item);
  const auto listType = type->cast<c10::ListType>();
  if (list == nullptr || !listType) return std::nullopt;
  c10::impl::GenericList result(listType->getElementType());
  for (const Item& element : (*list)->items) {
    auto value = constantOf(element, listType->getElementType());
    if (!value) return std::nullopt;
    result.push_back(std::move(*value));
  }
  return result;
}

/// Whether a constant is a tensor, or holds one: its numbers may change, and derivatives end there.
bool holdsTensor(const c10::IValue& value) {
  if (value.isTensor()) return true;
  if (value.isList()) return std::ranges::any_of(value.toListRef(), holdsTensor);
  return value.isTuple() && std::ranges::any_of(value.toTupleRef().elements(), holdsTensor);
}

Item numberItem(const Number& number) {
  return std::visit([](auto value) { return Item(c10::IValue(value)); }, number);
}

Size constantSize(int64_t number) { return {Size::Kind::kConstant, number, 0, {}}; }

bool isKnown(const Size& size) {
  return size.kind == Size::Kind::kConstant || size.kind == Size::Kind::kReal;
}

int64_t termsOf(const Size& size) {
  int64_t terms = 1;
  for (const Size& operand : size.operands) terms += termsOf(operand);
  return terms;
}

/// Operators on constants that may be run while loading: arithmetic and comparisons, nothing that
/// reads or writes anything else.
constexpr std::string_view kArithmetic =
    " aten::add aten::sub aten::mul aten::div aten::floordiv aten::remainder aten::neg"
    " aten::pow aten::sqrt aten::floor aten::ceil aten::abs aten::eq aten::ne aten::lt"
    " aten::gt aten::le aten::ge aten::__not__ aten::__and__ aten::__or__ aten::__xor__"
    " aten::Int aten::Float aten::Bool aten::IntImplicit aten::FloatImplicit"
    " aten::ScalarImplicit aten::__contains__ aten::format aten::__derive_index"
    " aten::__range_length aten::exp aten::log aten::sin aten::cos aten::tan aten::sinh"
    " aten::cosh aten::tanh aten::asin aten::acos aten::atan aten::sum aten::any aten::all"
    " aten::sorted aten::index aten::count aten::round aten::fabs aten::fmod aten::log10"
    " aten::log1p aten::log2 aten::atan2 aten::gcd aten::split aten::percentFormat"
    " aten::lower aten::upper aten::startswith aten::endswith aten::strip prim::min prim::max"
    " prim::abs prim::isinstance ";

bool isArithmetic(const std::string& name) {
  return kArithmetic.find(" " + name + " ") != std::string_view::npos;
}

/// The functions of sizes that TorchScript's operators are; of whole numbers `Int` is none.
const std::unordered_map<std::string_view, std::string_view>& sizeFunctions() {
  static const std::unordered_map<std::string_view, std::string_view> table = {
      {"aten::add", "+"},        {"aten::sub", "-"},       {"aten::mul", "*"},
      {"aten::div", "/"},        {"aten::floordiv", "//"}, {"aten::floor_divide", "//"},
      {"aten::rsub", "-"},       {"aten::remainder", "%"}, {"aten::pow", "**"},
      {"aten::neg", "negative"}, {"aten::sqrt", "sqrt"},   {"aten::Float", "real"},
      {"aten::Int", "truncate"}, {"aten::floor", "floor"}, {"aten::ceil", "ceil"},
      {"prim::min", "minimum"},  {"prim::max", "maximum"}, {"aten::exp", "exp"},
      {"aten::log", "log"},      {"aten::sin", "sin"},     {"aten::cos", "cos"},
      {"aten::tan", "tan"},      {"aten::sinh", "sinh"},   {"aten::cosh", "cosh"},
      {"aten::tanh", "tanh"},    {"aten::asin", "asin"},   {"aten::acos", "acos"},
      {"aten::atan", "atan"},
  };
  return table;
}

/// Whether a division of whole numbers is by zero or has a quotient beyond 64 bits, at which the
/// processor traps.
bool traps(const std::string& name, const jit::Stack& operands) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  if (operands.size() != 2 || !operands[0].isInt() || !operands[1].isInt()) return false;
  const int64_t divisor = operands[1].toInt();
  const bool divides = isOneOf(name, {"aten::remainder", "aten::floordiv"});
  return (divides && divisor == 0) || (operands[0].toInt() == kLeast && divisor == -1);
}

bool isTooLong(const c10::IValue& value) {
  if (value.isString()) return value.toStringRef().size() > kLongest;
  return value.isList() && value.toListRef().size() > kLongest;
}

}  // namespace

std::optional<std::vector<Item>> Interpreter::fold(const jit::Node& node,
                                                   const std::vector<Item>& inputs) {
  const std::string name = node.kind().toQualString();
  const auto one = [](Item item) { return std::vector<Item>{std::move(item)}; };
  const auto unknown = [&] { return one(UnknownItem{name}); };

  if (name == "prim::Constant") {
    if (node.output()->type()->kind() == c10::TypeKind::FunctionType) return one(c10::IValue());
    const auto value = jit::toIValue(node.output());
    if (!value) throw Error("ERR_MODEL_LOAD", "the model has a constant of an unknown kind");
    return one(*value);
  }
  if (name == "prim::GetAttr") {
    const auto* self = constant(inputs[0]);
    if (self == nullptr || !self->isObject())
      throw Error("ERR_UNSUPPORTED_OP", name + " asks something that is no module");
    return one(self->toObject()->getAttr(node.s(c10::attr::name)));
  }
  if (name == "prim::SetAttr")
    throw Error("ERR_UNSUPPORTED_OP", name + " changes the model while it runs");
  if (name == "prim::RaiseException")
    throw Error("ERR_UNSUPPORTED_OP", name + " is all that the model's forward comes to");
  if (auto result = foldContainer(node, inputs)) return result;
  if (const auto* value = inputs.empty() ? nullptr : constant(inputs[0]);
      value != nullptr && value->isTensor() && value->toTensor().defined()) {
    if (auto known = foldKnown(name, value->toTensor(), inputs)) return one(std::move(*known));
  }
  if (name == "aten::len" && std::holds_alternative<TensorItem>(inputs[0]))
    return one(axisOf(std::get<TensorItem>(inputs[0]).id, 0));
  if (const auto* word = name == "aten::len" ? constant(inputs[0]) : nullptr;
      word != nullptr && word->isString())
    return one(c10::IValue(static_cast<int64_t>(word->toStringRef().size())));
  if (auto result = foldConversion(node, inputs)) return one(std::move(*result));
  if (name == "aten::size" && isTensor(inputs[0])) {
    const int64_t id = valueOf(inputs[0]);
    if (inputs.size() == 1) {
      asked_.insert(rootOf(id));
      return one(SizesItem{id});
    }
    if (const auto axis = wholeNumber(inputs[1])) return one(axisOf(id, *axis));
    return unknown();
  }
  if (name == "aten::numel" && isTensor(inputs[0])) {  // the length of all in one row
    nodes_.push_back({"aten::reshape",
                      {ProgramSpec::Ref{valueOf(inputs[0])}, std::vector<double>{-1}},
                      {},
                      1,
                      /*sharesMemory=*/false});
    return one(Size{Size::Kind::kAxis, next_++, 0, {}});
  }
  if (isOneOf(name, {"aten::dim", "aten::is_floating_point", "prim::requires_grad", "prim::is_cuda",
                     "prim::layout", "aten::is_grad_enabled"})) {
    return unknown();
  }
  if (name == "prim::dtype") return one(ProgramSpec::DtypeOf{valueOf(inputs[0])});
  if (name == "prim::device") return one(DeviceItem{});
  if (isOneOf(name, {"aten::__is__", "aten::__isnot__"})) {
    const auto* left = constant(inputs[0]);
    const auto* right = constant(inputs[1]);
    const bool bothNone = left != nullptr && right != nullptr && left->isNone() && right->isNone();
    return one(c10::IValue(bothNone == (name == "aten::__is__")));
  }
  if (isOneOf(name, {"prim::unchecked_cast", "prim::NumToTensor"})) return one(inputs[0]);
  if (name == "prim::Uninitialized") return unknown();
  if (isOneOf(name, {"aten::warn", "prim::Print", "prim::TimePoint"})) {
    return node.outputs().empty() ? std::vector<Item>{} : unknown();
  }
  if (auto size = foldSize(name, inputs)) return one(std::move(*size));
  if (!isArithmetic(name) || std::any_of(inputs.begin(), inputs.end(), [](const Item& item) {
        return std::holds_alternative<TensorItem>(item);
      })) {
    return std::nullopt;
  }
  if (auto value = foldConstant(node, inputs)) return one(std::move(*value));
  // Arithmetic on what is unknown is unknown, unless it is on tensors.
  const auto kind = node.output()->type()->kind();
  const bool onTensors =
      kind == c10::TypeKind::TensorType || std::any_of(inputs.begin(), inputs.end(), isTensor);
  if (onTensors) return std::nullopt;
  for (const Item& input : inputs) {
    if (std::holds_alternative<UnknownItem>(input)) return one(input);
  }
  return one(UnknownItem{"the sizes or the dtype of a tensor"});
}

std::optional<Item> Interpreter::foldKnown(const std::string& name, const at::Tensor& tensor,
                                           const std::vector<Item>& inputs) {
  // Sizes, as those of other tensors: traces compute with them as with tensors.
  if (name == "aten::dim") return constantSize(tensor.dim());
  if (name == "aten::numel") return constantSize(tensor.numel());
  if (name == "aten::len" && tensor.dim() > 0) return constantSize(tensor.size(0));
  if (name == "aten::is_floating_point") return c10::IValue(tensor.is_floating_point());
  if (name == "aten::size" && inputs.size() == 1) {
    List sizes;
    for (const int64_t size : tensor.sizes()) sizes.items.emplace_back(constantSize(size));
    return std::make_shared<List>(std::move(sizes));
  }
  if (name == "aten::size") {
    const auto axis = wholeNumber(inputs[1]);
    if (axis && *axis < tensor.dim() && *axis >= -tensor.dim())
      return constantSize(tensor.size(*axis));
    return std::nullopt;
  }
  if (name == "prim::tolist") return listOfNumbers(tensor);
  const auto number = numberOf(tensor);
  if (!number) return std::nullopt;
  if (isOneOf(name, {"aten::item", "aten::ScalarImplicit"})) return *number;
  if (isOneOf(name, {"aten::Int", "aten::IntImplicit"})) {
    if (!number->isDouble()) return c10::IValue(number->toScalar().toLong());
    const double real = std::trunc(number->toDouble());
    if (!(std::abs(real) < 0x1p63)) return std::nullopt;
    return c10::IValue(static_cast<int64_t>(real));
  }
  if (isOneOf(name, {"aten::Float", "aten::FloatImplicit"}))
    return c10::IValue(number->toScalar().toDouble());
  if (name == "aten::Bool") return c10::IValue(number->toScalar().toDouble() != 0);
  return std::nullopt;
}

std::optional<Item> Interpreter::foldSize(const std::string& name,
                                          const std::vector<Item>& inputs) {
  const bool hasSize = std::any_of(inputs.begin(), inputs.end(), [](const Item& item) {
    return std::holds_alternative<Size>(item);
  });
  if (!hasSize) return std::nullopt;
  const auto* size = std::get_if<Size>(&inputs[0]);
  if (isOneOf(name, {"aten::IntImplicit", "aten::ScalarImplicit"}) ||
      (name == "aten::Int" && size != nullptr && isWhole(*size))) {
    return inputs[0];
  }
  if (name == "aten::reciprocal" && size != nullptr)
    return foldSize("aten::div", {Item(c10::IValue(1.0)), inputs[0]});
  const auto found = sizeFunctions().find(name);
  if (found == sizeFunctions().end()) return std::nullopt;
  std::string_view function = found->second;
  bool towardZero = false;
  if (name == "aten::div" && inputs.size() == 3) {  // with a rounding mode
    const auto* mode = constant(inputs[2]);
    if (mode == nullptr || !mode->isString()) return std::nullopt;
    const std::string& rounding = mode->toStringRef();
    if (rounding != "trunc" && rounding != "floor") return std::nullopt;
    towardZero = rounding == "trunc";
    if (!towardZero) function = "//";
  }
  const size_t count = findSizeFunction(function)->operands;
  if (inputs.size() < count) return std::nullopt;
  std::vector<Size> operands;
  for (size_t i = 0; i < count; ++i) {
    const auto* value = constant(inputs[i]);
    const bool number = std::holds_alternative<Size>(inputs[i]) || wholeNumber(inputs[i]) ||
                        (value != nullptr && value->isDouble());
    // Smaller integers than int64 stay of their type.
    const bool small =
        value != nullptr && value->isTensor() && value->toTensor().scalar_type() != at::kLong;
    if (!number || small) return std::nullopt;
    operands.push_back(toSize(inputs[i], name));
  }
  // Traced sizes are tensors, whose `add` and `sub` have a third argument: a factor.
  const bool scaled = name == "aten::add" || name == "aten::sub" || name == "aten::rsub";
  if (inputs.size() == 3 && scaled && wholeNumber(inputs[2]) != 1) return std::nullopt;
  if (name == "aten::rsub") std::swap(operands[0], operands[1]);
  const bool known = std::ranges::all_of(operands, isKnown);
  Size result = sizeOf(function, std::move(operands));
  if (towardZero) result = sizeOf("truncate", {std::move(result)});
  if (termsOf(result) > kTerms)
    throw Error("ERR_UNSUPPORTED_OP", name + " makes a size by too long a computation");
  return known ? toSize(numberItem(evaluate(result, {})), name) : result;
}

std::optional<Item> Interpreter::foldConstant(const jit::Node& node,
                                              const std::vector<Item>& inputs) {
  jit::Stack stack;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto value = constantOf(inputs[i], node.input(i)->type());
    if (!value) return std::nullopt;
    if (holdsTensor(*value)) return std::nullopt;
    stack.push_back(*value);
  }
  if (traps(node.kind().toQualString(), stack))
    throw Error("ERR_MODEL_LOAD", "the model divides a whole number by 0, or beyond 64 bits");
  const auto* op = node.maybeOperator();
  if (op == nullptr || node.outputs().size() != 1) return std::nullopt;
  if (node.schema().is_vararg()) jit::push(stack, static_cast<int64_t>(inputs.size()));
  node.getOperation()(stack);
  if (stack.empty()) return std::nullopt;
  if (isTooLong(stack.back()))
    throw Error("ERR_UNSUPPORTED_OP", std::string(node.kind().toQualString()) +
                                          " makes a list or a word that is too long");
  return stack.back();
}

}  // namespace tc::torchscript
