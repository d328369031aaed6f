#include "core/linearization/autograd/maps/linear_map.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <functional>
#include <string_view>

#include "core/kernels/processor.h"
#include "core/linearization/autograd/maps/matrix.h"
#include "core/linearization/autograd/rule_of.h"
#include "core/runtime/lazy.h"

namespace tc {

Table<MapRule>& mapRules() {
  static Table<MapRule> table("linear map");
  return table;
}

Table<ResultRule>& resultRules() {
  static Table<ResultRule> table("result");
  return table;
}

at::Tensor resultByKernels(const c10::OperatorHandle& op, const torch::jit::Stack& arguments) {
  if (!fused::isWideAmd()) return {};
  const ResultRule* rule = ruleOf(resultRules(), op);
  if (rule == nullptr || !rule->fit(arguments)) return {};
  // In a profile as the operator. For the products below libtorch would count operations by the
  // name, which the kernels count themselves.
  const std::string_view name = op.schema().name();
  at::RecordFunction record(at::RecordScope::FUNCTION);
  if (record.isActive() && name != "aten::mm" && name != "aten::bmm")
    record.before(std::cref(op.schema()),
                  c10::ArrayRef<const c10::IValue>(arguments.data(), arguments.size()));
  return rule->compute(arguments);
}

bool hasMapRule(const c10::OperatorHandle& op) { return ruleOf(mapRules(), op) != nullptr; }

LinearMap linearMap(const Call& call) {
  const MapRule* rule = ruleOf(mapRules(), call.op);
  if (rule == nullptr) return {};
  const auto type = call.results.front().scalar_type();
  const auto suits = [type](const at::Tensor& each) {
    return computesWith(each) && each.scalar_type() == type;
  };
  for (const c10::IValue& argument : call.arguments) {
    if (argument.isTensor() && argument.toTensor().is_floating_point() &&
        !suits(argument.toTensor()))
      return {};
  }
  if (!std::ranges::all_of(call.results, suits)) return {};
  LinearMap map = (*rule)(call);
  if (!map) return map;
  // Cotangents come from libtorch's backward pass as well.
  return {std::move(map.push), [pull = std::move(map.pull)](const Tangents& cotangents) {
            if (std::ranges::none_of(cotangents, isLazy)) return pull(cotangents);
            Tangents stored;
            for (const at::Tensor& each : cotangents) stored.push_back(asStored(each));
            return pull(stored);
          }};
}

}  // namespace tc
