#include "binding/spec.h"

#include <string>

#include "binding/convert.h"
#include "core/program/sizes.h"
#include "core/runtime/error.h"

namespace tc::js {
namespace {

using Argument = ProgramSpec::Argument;
using Size = ProgramSpec::Size;

ProgramSpec::Refs toRefs(const Napi::Array& list) {
  ProgramSpec::Refs refs;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value value = list[i];
    if (value.IsNumber()) {
      refs.values.emplace_back(value.As<Napi::Number>().Int64Value());
    } else {
      refs.values.emplace_back(std::nullopt);
    }
  }
  return refs;
}

constexpr int kSizeDepth = 300;

Size toSize(const Napi::Value& value, int depth) {
  if (depth < kSizeDepth && value.IsNumber())
    return {Size::Kind::kConstant, value.As<Napi::Number>().Int64Value(), 0, {}};
  if (depth < kSizeDepth && value.IsObject()) {
    const auto object = value.As<Napi::Object>();
    if (object.Has("sizeOf")) {
      return {Size::Kind::kAxis,
              object.Get("sizeOf").ToNumber().Int64Value(),
              object.Get("axis").ToNumber().Int64Value(),
              {}};
    }
    Size size;
    if (object.Has("itemOf")) {
      size.kind = Size::Kind::kItem;
      size.number = object.Get("itemOf").ToNumber().Int64Value();
      return size;
    }
    if (object.Has("float")) {
      size.kind = Size::Kind::kReal;
      size.real = object.Get("float").ToNumber().DoubleValue();
      return size;
    }
    size.kind = Size::Kind::kCall;
    size.function = findSizeFunction(object.Get("op").ToString().Utf8Value());
    if (size.function != nullptr && object.Get("of").IsArray()) {
      const auto operands = object.Get("of").As<Napi::Array>();
      for (uint32_t i = 0; i < operands.Length(); ++i)
        size.operands.push_back(toSize(operands[i], depth + 1));
      return size;
    }
  }
  throw Error("ERR_MODEL_LOAD", "a node has a size of an unknown form");
}

ProgramSpec::Sizes toSizes(const Napi::Array& list) {
  ProgramSpec::Sizes sizes;
  for (uint32_t i = 0; i < list.Length(); ++i) sizes.push_back(toSize(list[i], 0));
  return sizes;
}

Argument toArgument(Napi::Value value) {
  if (value.IsNull() || value.IsUndefined()) return std::monostate{};
  if (value.IsNumber()) return value.As<Napi::Number>().DoubleValue();
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  if (value.IsString()) return value.As<Napi::String>().Utf8Value();
  if (value.IsArray()) {
    const auto list = value.As<Napi::Array>();
    std::vector<double> numbers(list.Length());
    for (uint32_t i = 0; i < list.Length(); ++i)
      numbers[i] = Napi::Value(list[i]).ToNumber().DoubleValue();
    return numbers;
  }
  if (value.IsObject()) {
    const auto object = value.As<Napi::Object>();
    if (object.Has("ref")) return ProgramSpec::Ref{object.Get("ref").ToNumber().Int64Value()};
    if (object.Has("refs") && object.Get("refs").IsArray())
      return toRefs(object.Get("refs").As<Napi::Array>());
    if (object.Has("float"))
      return ProgramSpec::Float{object.Get("float").ToNumber().DoubleValue()};
    if (object.Has("size")) return toSize(object.Get("size"), 0);
    if (object.Has("sizes") && object.Get("sizes").IsArray())
      return toSizes(object.Get("sizes").As<Napi::Array>());
    if (object.Has("real")) {
      return ProgramSpec::Complex{object.Get("real").ToNumber().DoubleValue(),
                                  object.Get("imaginary").ToNumber().DoubleValue()};
    }
    if (object.Has("precision")) return ProgramSpec::Precision{};
    if (object.Has("complexPrecision")) return ProgramSpec::ComplexPrecision{};
    if (object.Has("dtypeOf"))
      return ProgramSpec::DtypeOf{object.Get("dtypeOf").ToNumber().Int64Value()};
  }
  throw Error("ERR_MODEL_LOAD", "a node has an argument of an unknown form");
}

Napi::Array arrayOf(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsArray())
    throw Error("ERR_MODEL_LOAD", std::string("the program lacks its list of ") + key);
  return value.As<Napi::Array>();
}

Napi::Object objectAt(const Napi::Array& list, uint32_t i) {
  const Napi::Value value = list[i];
  if (!value.IsObject())
    throw Error("ERR_MODEL_LOAD", "the program has an entry that is no object");
  return value.As<Napi::Object>();
}

ProgramSpec::Node toNode(const Napi::Object& object) {
  ProgramSpec::Node node;
  node.target = object.Get("target").ToString().Utf8Value();
  const auto args = arrayOf(object, "args");
  for (uint32_t i = 0; i < args.Length(); ++i) node.args.push_back(toArgument(args[i]));
  if (const Napi::Value kwargs = object.Get("kwargs"); kwargs.IsObject()) {
    const auto record = kwargs.As<Napi::Object>();
    const auto names = record.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) {
      const std::string name = Napi::Value(names[i]).ToString().Utf8Value();
      node.kwargs.emplace(name, toArgument(record.Get(name)));
    }
  }
  node.outputs = object.Get("outputs").ToNumber().Int64Value();
  if (const Napi::Value shares = object.Get("sharesMemory"); shares.IsBoolean())
    node.sharesMemory = shares.As<Napi::Boolean>().Value();
  if (const Napi::Value followed = object.Get("differentiated"); followed.IsBoolean())
    node.differentiated = followed.As<Napi::Boolean>().Value();
  return node;
}

std::vector<ProgramSpec::Port> toPorts(const Napi::Array& list) {
  std::vector<ProgramSpec::Port> ports;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const auto object = objectAt(list, i);
    ProgramSpec::Port port;
    port.name = object.Get("name").ToString().Utf8Value();
    if (const Napi::Value dtype = object.Get("dtype"); dtype.IsString()) {
      const auto& known = c10::getStringToDtypeMap();
      const auto found = known.find(dtype.As<Napi::String>().Utf8Value());
      if (found == known.end())
        throw Error("ERR_MODEL_LOAD", port.name + " is of an unknown kind of number");
      port.dtype = found->second;
    }
    port.shape.clear();
    const auto shape = arrayOf(object, "shape");
    for (uint32_t axis = 0; axis < shape.Length(); ++axis) {
      const Napi::Value size = shape[axis];
      if (size.IsString()) {
        port.shape.emplace_back(size.As<Napi::String>().Utf8Value());
      } else {
        port.shape.emplace_back(size.ToNumber().Int64Value());
      }
    }
    ports.push_back(std::move(port));
  }
  return ports;
}

}  // namespace

void appendNodes(ProgramSpec& spec, const Napi::Value& nodes) {
  if (!nodes.IsArray()) throw Error("ERR_MODEL_LOAD", "nodes should be a list");
  const auto list = nodes.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) spec.nodes.push_back(toNode(objectAt(list, i)));
}

ProgramSpec toSpec(const Napi::Object& object) {
  ProgramSpec spec;
  const auto parameters = arrayOf(object, "parameters");
  for (uint32_t i = 0; i < parameters.Length(); ++i) {
    const auto parameter = objectAt(parameters, i);
    const std::string name = parameter.Get("name").ToString().Utf8Value();
    spec.parameters.push_back({name, toShape(parameter.Get("shape"), name.c_str())});
  }
  spec.inputs = toPorts(arrayOf(object, "inputs"));
  if (object.Get("outputs").IsArray()) spec.outputs = toPorts(arrayOf(object, "outputs"));
  if (const Napi::Value returned = object.Get("returned"); returned.IsNumber())
    spec.returned = returned.As<Napi::Number>().Uint32Value();
  const auto constants = arrayOf(object, "constants");
  for (uint32_t i = 0; i < constants.Length(); ++i) {
    spec.constants.push_back(
        toTensor(Napi::Value(constants[i]), Memory::kCopy, "a constant of the program"));
  }
  if (object.Get("sharing").IsArray()) {
    const auto sharing = arrayOf(object, "sharing");
    for (uint32_t i = 0; i < sharing.Length(); ++i)
      spec.sharing.push_back(toShape(Napi::Value(sharing[i]), "a list of sharing"));
  }
  spec.output = object.Get("output").ToNumber().Int64Value();
  if (const Napi::Value batch = object.Get("batch"); batch.IsNumber())
    spec.batch = batch.As<Napi::Number>().Int64Value();
  return spec;
}

}  // namespace tc::js
