#include "variants.h"

#include <ATen/core/jit_type.h>

#include <limits>
#include <numeric>

#include "core/program/program.h"
#include "core/program/schema.h"
#include "core/runtime/random.h"

namespace tc::test {
namespace {

using Argument = ProgramSpec::Argument;
using Float = ProgramSpec::Float;
using Ref = ProgramSpec::Ref;
using List = std::vector<double>;

constexpr double kDouble = static_cast<double>(at::kDouble);

c10::TypePtr inner(const c10::TypePtr& type) {
  const auto optional = type->cast<c10::OptionalType>();
  return optional ? optional->getElementType() : type;
}

bool holds(const std::string& name, std::initializer_list<const char*> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const char* part) { return name.find(part) != std::string::npos; });
}

/// A default of a schema; none where it has no words here.
std::optional<Argument> written(const c10::IValue& value) {
  if (value.isNone()) return Argument(std::monostate{});
  if (value.isBool()) return Argument(value.toBool());
  if (value.isInt()) return Argument(static_cast<double>(value.toInt()));
  if (value.isDouble()) return Argument(Float{value.toDouble()});
  if (value.isString()) return Argument(value.toStringRef());
  if (!value.isIntList()) return std::nullopt;
  List list;
  for (const int64_t each : value.toIntVector()) list.push_back(static_cast<double>(each));
  return Argument(list);
}

std::string words(const Argument& argument) {
  if (std::holds_alternative<std::monostate>(argument)) return "None";
  if (const auto* flag = std::get_if<bool>(&argument)) return *flag ? "True" : "False";
  if (const auto* number = std::get_if<double>(&argument)) return c10::str(*number);
  if (const auto* number = std::get_if<Float>(&argument)) return c10::str(number->value, "f");
  if (const auto* text = std::get_if<std::string>(&argument)) return "'" + *text + "'";
  if (const auto* list = std::get_if<List>(&argument))
    return c10::str("[", c10::Join(", ", *list), "]");
  return "";
}

}  // namespace

VariantSource::VariantSource(const std::string& op, uint64_t seed)
    : schema_(findOperator(op).schema()), op_(op), random_(seed) {}

int64_t VariantSource::below(int64_t count) {
  return static_cast<int64_t>(random_() % static_cast<uint64_t>(count));
}
bool VariantSource::chance(double probability) {
  return static_cast<double>(random_() >> 11) * 0x1p-53 < probability;
}

bool VariantSource::expressible() const {
  if (schema_.is_mutable() || schema_.is_vararg()) return false;
  for (const c10::Argument& each : schema_.arguments()) {
    const std::string type = each.type()->repr_str();
    if (type.find("Dimname") != std::string::npos || type.find("Storage") != std::string::npos ||
        each.real_type()->repr_str().find("Dimname") != std::string::npos)
      return false;
  }
  return std::any_of(schema_.returns().begin(), schema_.returns().end(), [](const auto& each) {
    return each.type()->repr_str().find("Tensor") != std::string::npos;
  });
}

VariantSource::Shape VariantSource::shape(const std::string& name) {
  int64_t rank = chance(0.75) ? rank_ : below(5);
  if (chance(0.8)) {  // names that say it
    if (holds(name, {"start"})) rank = 0;
    if (holds(name, {"vec"})) rank = 1;
    if (holds(name, {"mat"})) rank = 2;
    if (holds(name, {"batch1", "batch2"})) rank = 3;
  }
  Shape shape(static_cast<size_t>(rank), 2);
  for (int64_t& size : shape) {
    if (chance(0.12)) size = 1;
    if (!alike_ && chance(0.5)) size = pick<int64_t>({1, 2, 3, 4});
  }
  return shape;
}

at::Tensor VariantSource::values(const Shape& shape, at::ScalarType type, const std::string& name) {
  Random random(random_());
  at::Tensor drawn = random.normal(shape, 0, 1, at::kDouble);
  if (type == at::kBool) return drawn > 0;
  if (type == at::kLong)  // places along an axis of size 2, most often
    return (drawn.abs() * 3).floor().remainder(chance(0.9) ? 2 : 4).to(at::kLong);
  if (holds(name, {"running_var"})) return drawn.abs() + 0.5;
  if (holds(name, {"mask"}) && chance(0.4))
    drawn = drawn.masked_fill(drawn > 0.3, -std::numeric_limits<double>::infinity());
  if (holds(name, {"mask"}) && chance(0.2) && drawn.dim() >= 2)
    drawn.select(-2, 0).fill_(-std::numeric_limits<double>::infinity());
  return drawn;
}

Argument VariantSource::tensor(const std::string& name) {
  at::ScalarType type = at::kDouble;
  if (holds(name, {"indices", "index", "start"})) {
    type = chance(0.85) ? at::kLong : at::kBool;
  } else if (holds(name, {"condition"}) || (holds(name, {"mask"}) && chance(0.5))) {
    type = at::kBool;
  } else if (!plain_ && chance(0.5)) {
    type = pick<at::ScalarType>({at::kFloat, at::kFloat, at::kLong, at::kBool});
  }
  const Shape wanted = shape(name);
  const auto rank = static_cast<int64_t>(wanted.size());
  // Data of its own, and how what is wanted is made of it.
  Shape own = wanted;
  const int64_t layout = rank == 0 ? 0 : below(8);
  const int64_t axis = rank == 0 ? 0 : below(rank);
  if (layout == 1) std::reverse(own.begin(), own.end());
  if (layout == 2) own.back() *= 2;
  if (layout == 3) own[static_cast<size_t>(axis)] = 1;
  const at::Tensor data = values(own, type, name);
  const bool floating = data.is_floating_point();
  const bool active = floating && !data.isinf().any().item<bool>() && chance(0.7);

  Ref value = active ? builder_->parameter(own) : builder_->constant(data);
  if (active) parameters_.push_back(data.reshape({-1}));
  if (layout == 1) {
    List axes(static_cast<size_t>(rank));
    std::iota(axes.rbegin(), axes.rend(), 0);
    value = builder_->call("aten::permute", {value, axes});
  }
  if (layout == 2) value = builder_->call("aten::slice.Tensor", {value, -1.0, 1.0, 1e6, 2.0});
  if (layout == 3)
    value = builder_->call("aten::expand", {value, List(wanted.begin(), wanted.end())});
  if (type == at::kFloat) {
    value = builder_->call("aten::to.dtype", {value, static_cast<double>(at::kFloat)});
    exact_ = false;
  }
  static const char* kLayouts[] = {"", " transposed", " strided", " expanded"};
  text_ += c10::str(active ? "parameter " : "constant ", at::toString(type),
                    at::IntArrayRef(wanted), kLayouts[layout < 4 ? layout : 0]);
  return value;
}

Argument VariantSource::number(const std::string& name) {
  if (holds(name, {"dtype"})) {
    const double type = pick<double>({kDouble, kDouble, static_cast<double>(at::kFloat)});
    exact_ = exact_ && type == kDouble;
    return type;
  }
  if (holds(name, {"memory_format"})) return 0.0;
  if (holds(name, {"groups", "step", "chunks", "split_size", "factor"}))
    return pick<double>({1, 1, 2});
  if (holds(name, {"dim", "axis"})) return pick<double>({-2, -1, 0, 1, 2});
  if (holds(name, {"num_classes", "k", "size"})) return pick<double>({1, 2});
  return pick<double>({-1, 0, 1, 2});
}

Argument VariantSource::numbers(const std::string& name) {
  const int64_t length = chance(0.7) ? rank_ : below(4);
  List list(static_cast<size_t>(length));
  for (double& each : list) {
    if (holds(name, {"dim"})) {
      each = pick<double>({-2, -1, 0, 1});
    } else if (holds(name, {"padding", "pad"})) {
      each = pick<double>({0, 1, 0, -1});
    } else if (holds(name, {"size", "shape"})) {
      each = pick<double>({2, 2, 2, 1, 4, -1});
    } else {
      each = pick<double>({1, 2, 1, 2, 0});
    }
  }
  // Kernels and strides have as many entries as there are axes of pixels.
  if (holds(name, {"kernel", "stride", "dilation", "padding", "output_size"}) && chance(0.8))
    list.resize(static_cast<size_t>(std::max<int64_t>(1, rank_ - 2)), 1);
  if (holds(name, {"dims", "normalized_shape"}) && chance(0.5)) {  // each axis once
    list.resize(static_cast<size_t>(rank_));
    std::iota(list.begin(), list.end(), 0);
    std::shuffle(list.begin(), list.end(), random_);
    if (holds(name, {"shape"})) list = List(static_cast<size_t>(1 + below(2)), 2);
  }
  return list;
}

Argument VariantSource::draw(const std::string& name, const c10::TypePtr& type) {
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return tensor(name);
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return number(name);
    case c10::TypeKind::FloatType:
      // With little of it, two numbers are normalized to nearly ±1: derivatives of rounding alone.
      if (holds(name, {"eps"})) return Float{pick<double>({0.1, 0.5})};
      if (holds(name, {"dropout", "p"}) && chance(0.9)) return Float{0};
      return Float{pick<double>({0.5, 0.1, 2, 0.7})};
    case c10::TypeKind::NumberType:
      if (chance(0.4)) return pick<double>({-1, 0, 1, 2});
      if (!plain_ && chance(0.2)) return chance(0.5);
      return Float{pick<double>({-1.5, 0.5, 2, 0})};
    case c10::TypeKind::BoolType:
      return chance(0.4);
    case c10::TypeKind::DeviceObjType:
      return std::string("cpu");
    case c10::TypeKind::StringType:
      if (holds(name, {"equation"})) {
        return pick<std::string>({"ij,jk->ik", "ij,ij->", "ii->i", "...i,...i->...", "ij->ji",
                                  "i,j->ij", "bij,bjk->bik", "ij,jk,k->i", "...ij->...ji", "ij->",
                                  "ij,j", "ab,cd->abcd", "ijk,ijk->i"});
      }
      return pick<std::string>({"none", "tanh", "constant", "reflect", "replicate", "circular",
                                "same", "valid", "floor", "trunc"});
    case c10::TypeKind::ListType: {
      const auto element = type->cast<c10::ListType>()->getElementType();
      if (inner(element)->kind() != c10::TypeKind::TensorType) {
        if (element->kind() == c10::TypeKind::FloatType)
          return List(static_cast<size_t>(std::max<int64_t>(1, rank_ - 2)), 2.0);
        if (element->kind() == c10::TypeKind::BoolType) return List{1};
        return numbers(name);
      }
      const bool optional = element->kind() == c10::TypeKind::OptionalType;
      ProgramSpec::Refs refs;
      const int64_t length = 1 + below(3);
      text_ += "(";
      for (int64_t i = 0; i < length; ++i) {
        if (optional && chance(0.3)) {
          refs.values.emplace_back(std::nullopt);
          text_ += "None ";
        } else if (!refs.values.empty() && refs.values.back() && chance(0.15)) {
          refs.values.push_back(refs.values.back());
          text_ += " the same";
        } else {
          refs.values.emplace_back(std::get<Ref>(tensor(name)).value);
        }
      }
      text_ += ")";
      return refs;
    }
    default:
      return std::monostate{};
  }
}

Argument VariantSource::draw(const c10::Argument& formal) {
  if (formal.default_value() && !holds(formal.name(), {"eps"}) && chance(0.35)) {
    if (auto value = written(*formal.default_value())) return *value;
  }
  const bool optional = formal.type()->kind() == c10::TypeKind::OptionalType;
  const c10::TypePtr type = inner(formal.type());
  const bool given = type->kind() != c10::TypeKind::DeviceObjType &&
                     !holds(formal.name(), {"layout", "pin_memory", "generator"});
  if (optional && (!given || chance(0.4))) return std::monostate{};
  return draw(formal.name(), type);
}

std::optional<Variant> VariantSource::draw() {
  builder_.emplace();
  parameters_.clear();
  plain_ = chance(0.6);
  alike_ = chance(0.7);
  rank_ = 1 + below(5);
  exact_ = true;
  text_ = op_ + "(";
  std::vector<Argument> arguments;
  for (const c10::Argument& formal : schema_.arguments()) {
    text_ += (arguments.empty() ? "" : ", ") + formal.name() + "=";
    arguments.push_back(draw(formal));
    text_ += words(arguments.back());
  }
  if (parameters_.empty()) return std::nullopt;
  const auto& returns = schema_.returns();
  const bool list = returnsList(findOperator(op_).schema());
  const int64_t outputs = list ? 1 + below(2) : static_cast<int64_t>(returns.size());
  Ref result = builder_->call(op_, arguments, outputs);
  const int64_t which = chance(0.7) ? 0 : below(outputs);
  result.value += which;
  text_ += c10::str(")[", which, "]");
  result = builder_->call("aten::to.dtype", {result, kDouble});
  // So that cotangents lie otherwise in memory than results.
  if (chance(0.4))
    result = builder_->call("aten::movedim.int", {result, pick<double>({0, 1}), -1.0});
  result = builder_->call("aten::unsqueeze", {result, 0.0});  // a batch of one row
  Point point{builder_->build(result), at::cat(parameters_), {at::zeros({1}, at::kDouble)}, {}};
  return Variant{text_, placed(std::move(point), at::kCPU), exact_};
}

}  // namespace tc::test
