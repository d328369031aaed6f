#include <string>
#include <vector>

#include "binding/js.h"
#include "core/kernels/kernels.h"
#include "core/linearization/autograd/pushforwards/pushforward.h"
#include "core/losses/loss.h"
#include "core/operators/request.h"
#include "core/solvers/method.h"

namespace tc::js {
namespace {

Napi::Array toList(Napi::Env env, const std::vector<std::string>& names) {
  auto list = Napi::Array::New(env, names.size());
  for (uint32_t i = 0; i < names.size(); ++i) list.Set(i, names[i]);
  return list;
}

template <typename T>
std::vector<std::string> namesOf(const Table<T>& table) {
  std::vector<std::string> names;
  names.reserve(table.rows().size());
  for (const auto& [name, row] : table.rows()) names.push_back(name);
  return names;
}

Napi::Value tables(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<std::string> activations;
  for (const auto& row : fused::kernels<double>().activations) activations.emplace_back(row.target);
  auto result = Napi::Object::New(env);
  result.Set("errorCodes", toList(env, {std::begin(kErrorCodes), std::end(kErrorCodes)}));
  result.Set("losses", toList(env, namesOf(losses())));
  result.Set("operators", toList(env, namesOf(operatorKinds())));
  result.Set("solvers", toList(env, namesOf(solverMethods())));
  result.Set("rules", toList(env, namesOf(pushforwardRules())));
  result.Set("activations", toList(env, activations));
  return result;
}

}  // namespace

void addTables(Napi::Env env, Napi::Object exports) { add(env, exports, "tables", tables); }

}  // namespace tc::js
