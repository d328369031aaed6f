#include "binding/program.h"

#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include "core/error.h"

namespace tc::js {
namespace {

using Argument = ProgramSpec::Argument;

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
  return node;
}

ProgramSpec toSpec(const Napi::Object& object) {
  ProgramSpec spec;
  const auto parameters = arrayOf(object, "parameters");
  for (uint32_t i = 0; i < parameters.Length(); ++i) {
    const auto parameter = objectAt(parameters, i);
    const std::string name = parameter.Get("name").ToString().Utf8Value();
    spec.parameters.push_back({name, toShape(parameter.Get("shape"), name.c_str())});
  }
  spec.inputs = object.Get("inputs").ToNumber().Int64Value();
  const auto constants = arrayOf(object, "constants");
  for (uint32_t i = 0; i < constants.Length(); ++i) {
    spec.constants.push_back(
        toTensor(Napi::Value(constants[i]), Memory::kCopy, "a constant of the program"));
  }
  const auto nodes = arrayOf(object, "nodes");
  for (uint32_t i = 0; i < nodes.Length(); ++i) spec.nodes.push_back(toNode(objectAt(nodes, i)));
  spec.output = object.Get("output").ToNumber().Int64Value();
  return spec;
}

/// Runs one row of zeros through the program: the shape check that holds for any operator on any
/// device.
Napi::Value outputShape(const Napi::CallbackInfo& info) {
  const auto& handle = unwrap<ProgramHandle>(info[0], "program");
  const auto& program = *handle->program;
  const auto dtype = info[2].ToBoolean() ? at::kDouble : at::kFloat;
  Point point{handle->program, at::zeros({program.parameterCount()}, dtype), {}, {}};
  const auto inputs = info[1].As<Napi::Array>();
  int64_t batch = 0;
  for (uint32_t i = 0; i < inputs.Length(); ++i) {
    const auto input = objectAt(inputs, i);
    auto shape = toShape(input.Get("shape"), "x");
    if (shape.empty()) throw Error("ERR_SHAPE_MISMATCH", "x has no batch axis");
    batch = shape[0];
    shape[0] = 1;
    const auto kind = toFlat(input.Get("data"), Memory::kBorrow, "x").scalar_type();
    point.inputs.push_back(at::zeros(shape, kind));
  }
  point = placed(std::move(point), c10::Device(c10::kCPU));
  std::vector<int64_t> shape;
  try {
    const c10::NoGradGuard noGradients;
    shape =
        program.run(program.unflatten(point.params), point.inputs, point.constants).sizes().vec();
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::NotImplementedError&) {
    throw;
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    throw Error("ERR_SHAPE_MISMATCH",
                "x does not fit the model: " + message.substr(0, message.find('\n')));
  }
  if (shape.empty() || shape[0] != 1) {
    throw Error("ERR_SHAPE_MISMATCH", "the first axis of the model's output is not the batch");
  }
  shape[0] = batch;
  const auto result = Napi::Array::New(info.Env(), shape.size());
  for (uint32_t i = 0; i < shape.size(); ++i)
    result.Set(i, Napi::Number::New(info.Env(), static_cast<double>(shape[i])));
  return result;
}

}  // namespace

void addProgram(Napi::Env env, Napi::Object exports) {
  add(env, exports, "createProgram", [](const Napi::CallbackInfo& info) {
    if (!info[0].IsObject()) throw Error("ERR_MODEL_LOAD", "a program should be an object");
    auto handle = std::make_shared<ProgramHandle>();
    handle->program = std::make_shared<const Program>(toSpec(info[0].As<Napi::Object>()));
    return wrap(info.Env(), std::move(handle));
  });
  add(env, exports, "outputShape", outputShape);
}

}  // namespace tc::js
