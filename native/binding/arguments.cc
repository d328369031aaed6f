#include "binding/arguments.h"

#include "binding/handles.h"

namespace tc::js {
namespace {

/// False for what is no scalar.
bool setScalar(Arguments& arguments, const std::string& name, Napi::Value value) {
  if (value.IsNumber()) {
    arguments.set(name, value.As<Napi::Number>().DoubleValue());
  } else if (value.IsBoolean()) {
    arguments.set(name, value.As<Napi::Boolean>().Value());
  } else if (value.IsString()) {
    arguments.set(name, value.As<Napi::String>().Utf8Value());
  } else if (value.IsBigInt()) {
    bool lossless = false;
    arguments.set(name, value.As<Napi::BigInt>().Uint64Value(&lossless));
  } else {
    return false;
  }
  return true;
}

}  // namespace

Arguments scalarsOf(const Fields& fields) {
  Arguments arguments;
  for (const std::string& name : fields.names())
    setScalar(arguments, name, fields.get(name.c_str()));
  return arguments;
}

SolverArguments solverArguments(const Fields& fields, Memory memory) {
  SolverArguments arguments;
  std::vector<std::pair<std::string, Napi::Value>> arrays;
  for (const std::string& name : fields.names()) {
    const Napi::Value value = fields.get(name.c_str());
    if (setScalar(arguments.values, name, value)) continue;
    if (value.IsTypedArray()) {
      arrays.emplace_back(name, value);
    } else if (value.IsExternal()) {
      arguments.values.set(name, operatorOf(value));
    } else if (const auto progress = Progress::make(value, memory)) {
      arguments.progress = progress;
      arguments.values.set(
          name, OnIteration([progress](int64_t rightHandSide, int64_t iteration, double norm) {
            return progress->report(rightHandSide, iteration, norm);
          }));
    }
  }
  // A function of the caller's may transfer the arrays away while they are in use.
  const Memory held = arguments.progress ? Memory::kCopy : memory;
  for (const auto& [name, value] : arrays)
    arguments.values.set(name, toFlat(value, held, name.c_str()));
  return arguments;
}

}  // namespace tc::js
