#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>

#include <string>

#include "core/program/refused_call.h"

namespace tc {

/// The arguments of a call by their names.
class CallArguments {
 public:
  CallArguments(const c10::FunctionSchema& schema, const torch::jit::Stack& values)
      : schema_(schema), values_(values) {}

  const std::string& name() const { return schema_.name(); }
  [[noreturn]] void refuse(const std::string& expected) const {
    throw RefusedCall("ERR_SHAPE_MISMATCH", schema_.name() + ": " + expected);
  }
  void require(bool holds, const char* expected) const {
    if (!holds) refuse(expected);
  }
  const c10::IValue* find(const std::string& name) const {
    const auto index = schema_.argumentIndexWithName(name);
    return index ? &values_[static_cast<size_t>(*index)] : nullptr;
  }
  const c10::IValue& at(size_t position) const { return values_[position]; }
  /// Undefined where there is no argument of this name, or no tensor for it.
  at::Tensor tensor(const std::string& name) const {
    const c10::IValue* value = find(name);
    return value != nullptr && value->isTensor() ? value->toTensor() : at::Tensor();
  }
  bool flag(const std::string& name) const {
    const c10::IValue* value = find(name);
    return value != nullptr && value->isBool() && value->toBool();
  }

 private:
  const c10::FunctionSchema& schema_;
  const torch::jit::Stack& values_;
};

/// An ArgumentCheck of a function of a call's arguments.
template <void (*check)(const CallArguments&)>
void checked(const c10::FunctionSchema& schema, const torch::jit::Stack& arguments) {
  check(CallArguments(schema, arguments));
}

}  // namespace tc
