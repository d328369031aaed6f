#include <type_traits>

#include "binding/arguments.h"
#include "binding/handles.h"
#include "binding/operation.h"
#include "core/runtime/transfer.h"
#include "core/solvers/inverse.h"
#include "core/solvers/method.h"

namespace tc::js {
namespace {

Napi::Object toObject(Napi::Env env, const Record& record);

Napi::Value toValue(Napi::Env env, const Record::Value& value) {
  return std::visit(
      [&](const auto& each) -> Napi::Value {
        using T = std::decay_t<decltype(each)>;
        if constexpr (std::is_same_v<T, bool>) {
          return Napi::Boolean::New(env, each);
        } else if constexpr (std::is_arithmetic_v<T>) {
          return Napi::Number::New(env, static_cast<double>(each));
        } else if constexpr (std::is_same_v<T, std::string>) {
          return Napi::String::New(env, each);
        } else if constexpr (std::is_same_v<T, at::Tensor>) {
          return toTypedArray(env, each);
        } else if constexpr (std::is_same_v<T, Record::Shaped>) {
          return toRecord(env, each.tensor);
        } else {
          auto list = Napi::Array::New(env, each.size());
          for (uint32_t i = 0; i < each.size(); ++i) list.Set(i, toObject(env, each[i]));
          return list;
        }
      },
      value);
}

Napi::Object toObject(Napi::Env env, const Record& record) {
  auto object = Napi::Object::New(env);
  for (const auto& [name, value] : record.fields) object.Set(name, toValue(env, value));
  return object;
}

/// The record with its tensors on the CPU.
Record fetched(Record record) {
  for (auto& [name, value] : record.fields) {
    if (auto* const tensor = std::get_if<at::Tensor>(&value)) *tensor = toHost(*tensor);
    if (auto* const shaped = std::get_if<Record::Shaped>(&value))
      shaped->tensor = toHost(shaped->tensor);
  }
  return record;
}

Prepared solve(const Napi::CallbackInfo& info, Memory memory) {
  const Fields fields(info[0]);
  SolverArguments arguments = solverArguments(fields, memory);
  Prepared prepared;
  prepared.threads = static_cast<int>(fields.integer("threads"));
  prepared.compute = [method = solverMethods().at(fields.text("solver")),
                      op = operatorOf(fields.get("operator")),
                      given = std::move(arguments.values)](const StopToken& stop) {
    return Result::of(fetched(method(*op, given, stop)));
  };
  prepared.deliver = [progress = std::move(arguments.progress)](Napi::Env env, const Result& result,
                                                                Napi::Value) -> Napi::Value {
    if (progress) progress->finish();
    return toObject(env, result.as<Record>());
  };
  return prepared;
}

/// A⁻¹ as an operator, by its name among the inverses.
Napi::Value inverse(const Napi::CallbackInfo& info) {
  const Fields fields(info[0]);
  const SolverArguments arguments = solverArguments(fields, Memory::kCopy);
  const InverseMethod make = inverseMethods().at(fields.text("inverse"));
  return wrapShare<OperatorHandle>(info.Env(),
                                   make(operatorOf(fields.get("operator")), arguments.values), 0);
}

}  // namespace

void addSolvers(Napi::Env env, Napi::Object exports) {
  addOperation(env, exports, "solve", solve);
  add(env, exports, "operatorInverse", inverse);
}

}  // namespace tc::js
