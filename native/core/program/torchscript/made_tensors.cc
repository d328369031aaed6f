/// Tensors that a model makes of numbers and sizes, and what TorchScript alone calls by names of
/// its own.

#include <ATen/core/jit_type.h>
#include <ATen/ops/tensor.h>

#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/program/torchscript/arguments.h"
#include "core/program/torchscript/interpreter.h"
#include "core/runtime/error.h"

namespace tc::torchscript {
namespace {

namespace jit = torch::jit;
using Ref = ProgramSpec::Ref;
using Items = std::vector<Item>;

bool isNone(const Item& item) {
  const auto* value = std::get_if<c10::IValue>(&item);
  return value != nullptr && value->isNone();
}

/// The elements of nested lists in order, and how many of them each list has.
void flatten(const Item& item, const c10::TypePtr& type, size_t depth, Items& flat,
             std::vector<int64_t>& shape) {
  const auto list = type->cast<c10::ListType>();
  if (!list) return flat.push_back(item);
  const Items items = elements(item, "aten::tensor");
  const auto length = static_cast<int64_t>(items.size());
  if (shape.size() == depth) shape.push_back(length);
  if (shape[depth] != length)
    throw Error("ERR_MODEL_LOAD", "aten::tensor is given lists of several lengths");
  for (const Item& each : items) flatten(each, list->getElementType(), depth + 1, flat, shape);
}

c10::TypeKind elementKind(c10::TypePtr type) {
  while (const auto list = type->cast<c10::ListType>()) type = list->getElementType();
  return type->kind();
}

/// A tensor of constant numbers, or none where some are no constants. Numbers that libtorch would
/// round to its default precision, float32, keep the digits of a model in float64: constants take
/// the precision of the parameters later.
std::optional<at::Tensor> constantTensor(const Items& flat, c10::TypeKind kind) {
  std::vector<double> reals;
  std::vector<int64_t> wholes;
  for (const Item& item : flat) {
    const auto* value = std::get_if<c10::IValue>(&item);
    const auto number = wholeNumber(item);
    if (value == nullptr && number) {
      if (kind == c10::TypeKind::FloatType) return std::nullopt;
      wholes.push_back(*number);
      continue;
    }
    if (value == nullptr || !(value->isInt() || value->isBool() || value->isDouble()))
      return std::nullopt;
    if (value->isDouble()) {
      reals.push_back(value->toDouble());
    } else {
      wholes.push_back(value->isInt() ? value->toInt() : static_cast<int64_t>(value->toBool()));
    }
  }
  if (kind == c10::TypeKind::FloatType) return at::tensor(reals, at::kDouble);
  if (!reals.empty()) return std::nullopt;
  const at::Tensor made = at::tensor(wholes, at::kLong);
  return kind == c10::TypeKind::BoolType ? made.to(at::kBool) : made;
}

/// The dtype that is written into the model as a number, if it is of real numbers.
std::optional<at::ScalarType> realType(const Item& item) {
  const auto* value = std::get_if<c10::IValue>(&item);
  if (value == nullptr || !value->isInt()) return std::nullopt;
  const auto type = static_cast<at::ScalarType>(value->toInt());
  const bool known = type == at::kFloat || type == at::kDouble || type == at::kHalf ||
                     type == at::kBFloat16 || type == at::kBool || type == at::kByte ||
                     type == at::kChar || type == at::kShort || type == at::kInt ||
                     type == at::kLong;
  return known ? std::optional(type) : std::nullopt;
}

const c10::Argument* dtypeOf(const c10::FunctionSchema& schema) {
  const auto place = schema.argumentIndexWithName("dtype");
  return place ? &schema.arguments()[static_cast<size_t>(*place)] : nullptr;
}

/// What the node is given for an argument; nullptr where its operator has none of that name.
const Item* given(const char* name, const jit::Node& node, const Items& inputs) {
  const auto place = node.schema().argumentIndexWithName(name);
  return place && static_cast<size_t>(*place) < inputs.size() ? &inputs[static_cast<size_t>(*place)]
                                                              : nullptr;
}

/// Operators that take the sizes of another tensor as a whole have siblings that take the tensor.
const std::unordered_map<std::string_view, std::string_view>& siblings() {
  static const std::unordered_map<std::string_view, std::string_view> table = {
      {"aten::view", "aten::view_as"},         {"aten::reshape", "aten::reshape_as"},
      {"aten::expand", "aten::expand_as"},     {"aten::zeros", "aten::zeros_like"},
      {"aten::ones", "aten::ones_like"},       {"aten::full", "aten::full_like"},
      {"aten::new_zeros", "aten::zeros_like"}, {"aten::new_ones", "aten::ones_like"},
      {"aten::new_full", "aten::full_like"},   {"aten::empty", "aten::empty_like"},
      {"aten::new_empty", "aten::empty_like"}, {"aten::broadcast_to", "aten::expand_as"},
  };
  return table;
}

}  // namespace

Item Interpreter::write(ProgramSpec::Node call) {
  follow(call);
  nodes_.push_back(std::move(call));
  return TensorItem{next_++};
}

Item Interpreter::converted(const Item& tensor, const Item& dtype, const jit::Node& node) {
  if (isNone(dtype)) return tensor;
  const int64_t id = valueOf(tensor);
  const c10::FunctionSchema& schema = node.schema();
  return write({"aten::to.dtype",
                {Ref{id}, toArgument(dtype, *dtypeOf(schema), schema.name(),
                                     {tensors_.precision(), tensors_.constantPrecision(id),
                                      /*makesTensor=*/false})},
                {},
                1});
}

std::optional<Item> Interpreter::makeTensor(const jit::Node& node, const Items& inputs) {
  const Item* const asked = given("dtype", node, inputs);
  if (asked == nullptr) return std::nullopt;
  const Item& dtype = *asked;
  const c10::TypePtr type = node.input(0)->type();
  if (type->kind() == c10::TypeKind::TensorType) return converted(inputs[0], dtype, node);

  Items flat;
  std::vector<int64_t> shape;
  flatten(inputs[0], type, 0, flat, shape);
  const auto kind = elementKind(type);
  if (const auto made = constantTensor(flat, kind)) {
    at::Tensor shaped = made->view(shape);
    if (const auto real = realType(dtype)) {
      shaped = shaped.to(*real);
      tensors_.make(shaped);
      return c10::IValue(shaped);
    }
    tensors_.make(shaped);
    return converted(c10::IValue(shaped), dtype, node);
  }
  // With sizes among them: of each a tensor of its own. Without a dtype that of the number;
  // `scalar_tensor` alone would take the default precision.
  const Precisions precisions{tensors_.precision(), std::nullopt, /*makesTensor=*/true};
  ProgramSpec::Argument written =
      toArgument(dtype, *dtypeOf(node.schema()), "aten::tensor", precisions);
  if (isNone(dtype) && kind == c10::TypeKind::IntType) written = static_cast<double>(at::kLong);
  if (isNone(dtype) && kind == c10::TypeKind::BoolType) written = static_cast<double>(at::kBool);
  ProgramSpec::Refs all;
  for (const Item& item : flat) {
    const Item number = withTensors(item);
    const auto value = toArgument(number, node.schema().arguments()[0], "aten::tensor", precisions);
    const Item made = write(
        {"aten::scalar_tensor", {value, written, std::monostate{}, std::string("cpu")}, {}, 1});
    if (shape.empty()) return made;
    all.values.emplace_back(std::get<TensorItem>(made).id);
  }
  const Item stacked = write({"aten::stack", {std::move(all), 0.0}, {}, 1});
  if (shape.size() == 1) return stacked;
  const std::vector<double> sizes(shape.begin(), shape.end());
  return write({"aten::reshape", {Ref{std::get<TensorItem>(stacked).id}, sizes}, {}, 1});
}

std::optional<Item> Interpreter::foldConversion(const jit::Node& node, const Items& inputs) {
  const std::string name = node.kind().toQualString();
  if (name == "prim::data") return write({"aten::detach", {Ref{valueOf(inputs[0])}}, {}, 1});
  if (name == "aten::tensor" || name == "aten::as_tensor") return makeTensor(node, inputs);
  if (name != "aten::to" || !node.schema().overload_name().starts_with("prim_"))
    return std::nullopt;
  const Item* const dtype = given("dtype", node, inputs);
  const Item result = dtype == nullptr ? inputs[0] : converted(inputs[0], *dtype, node);
  const auto* copies = std::get_if<c10::IValue>(given("copy", node, inputs));
  if (copies == nullptr || !copies->isBool() || !copies->toBool()) return result;
  return write({"aten::clone", {Ref{valueOf(result)}}, {}, 1});
}

std::optional<Item> Interpreter::likeAnother(const jit::Node& node, const Items& inputs) {
  const std::string name = node.kind().toQualString();
  const auto sibling = siblings().find(name);
  if (sibling == siblings().end()) return std::nullopt;
  const bool makes = isNone(inputs[0]) || std::holds_alternative<SizesItem>(inputs[0]);
  const size_t place = makes ? 0 : 1;
  const auto* sizes = std::get_if<SizesItem>(&inputs.at(place));
  if (sizes == nullptr) return std::nullopt;
  ProgramSpec::Node call{std::string(sibling->second), {}, {}, 1};
  const auto formal = dtypeOf(node.schema());
  if (formal == nullptr) {  // a tensor in the shape of another
    call.args = {Ref{valueOf(inputs[0])}, Ref{sizes->id}};
    return write(std::move(call));
  }
  call.args.emplace_back(Ref{sizes->id});
  const Precisions precisions{tensors_.precision(), std::nullopt, /*makesTensor=*/true};
  const bool fills = sibling->second == "aten::full_like";
  if (fills)
    call.args.push_back(toArgument(withTensors(inputs[place + 1]),
                                   node.schema().arguments()[place + 1], name, precisions));
  const Item& dtype = *given("dtype", node, inputs);
  if (!isNone(dtype)) {
    call.args.push_back(toArgument(dtype, *formal, name, precisions));
  } else if (!makes) {
    call.args.emplace_back(ProgramSpec::DtypeOf{valueOf(inputs[0])});
  } else if (const auto* fill = std::get_if<c10::IValue>(&inputs[fills ? 1 : 0]);
             fills && fill != nullptr && (fill->isInt() || fill->isBool())) {
    call.args.emplace_back(static_cast<double>(fill->isInt() ? at::kLong : at::kBool));
  } else if (const auto* size = std::get_if<ProgramSpec::Size>(&inputs[fills ? 1 : 0]);
             fills && size != nullptr && isWhole(*size)) {
    call.args.emplace_back(static_cast<double>(at::kLong));
  } else {
    call.args.emplace_back(ProgramSpec::Precision{});
  }
  return write(std::move(call));
}

}  // namespace tc::torchscript
