#include "core/linearization/autograd/pushforwards/pushforward.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/linearization/autograd/rule_of.h"

namespace tc {

Table<Rule>& pushforwardRules() {
  static Table<Rule> table("rule");
  return table;
}

Table<Rule>& corrections() {
  static Table<Rule> table("correction");
  return table;
}

const Call::Active* Call::find(size_t argument) const {
  const auto found = std::ranges::find(active, argument, &Active::argument);
  return found != active.end() && arguments[argument].isTensor() ? &*found : nullptr;
}

bool Call::only(size_t argument) const { return active.size() == 1 && find(argument) != nullptr; }

Pushforward pushforward(const Call& call) {
  if (const Rule* rule = ruleOf(corrections(), call.op)) {
    if (Pushforward known = (*rule)(call)) return known;
  }
  // Derivatives by complex numbers need not be numbers, as that of |z|, and kernels for transposes
  // conjugate.
  const auto isComplex = [](const at::Tensor& each) { return each.defined() && each.is_complex(); };
  if (std::ranges::any_of(call.results, isComplex) ||
      std::ranges::any_of(call.active, isComplex, &Call::Active::primal)) {
    return withDuals(call);
  }
  if (const Rule* rule = ruleOf(pushforwardRules(), call.op)) {
    if (Pushforward known = (*rule)(call)) return known;
  }
  const bool pointwise = call.op.hasTag(at::Tag::pointwise) && call.results.size() == 1;
  return pointwise ? elementwise(call) : withDuals(call);
}

std::vector<at::Tensor> Replaced::call(const Call::Active& place, const at::Tensor& value) const {
  return call({&place, 1}, {&value, 1});
}

std::vector<at::Tensor> Replaced::call(std::span<const Call::Active> places,
                                       std::span<const at::Tensor> values) const {
  torch::jit::Stack stack = arguments_;
  for (size_t i = 0; i < places.size(); ++i) {
    c10::IValue& argument = stack[places[i].argument];
    if (!argument.isList()) {
      argument = values[i];
      continue;
    }
    const bool first = i == 0 || places[i - 1].argument != places[i].argument;
    if (first) argument = c10::IValue(argument.toList().copy());
    argument.toList().set(places[i].element, values[i]);
  }
  op_.callBoxed(stack);
  std::vector<at::Tensor> results;
  for (c10::IValue& result : stack) {
    if (result.isTensorList()) {
      for (const at::Tensor& each : result.toTensorVector()) results.push_back(each);
    } else {
      results.push_back(result.isTensor() ? std::move(result).toTensor() : at::Tensor());
    }
  }
  return results;
}

bool ofOnePrecision(const Call& call) {
  const auto type = call.results.front().scalar_type();
  return std::ranges::all_of(
      call.active, [&](const Call::Active& each) { return each.primal.scalar_type() == type; });
}

at::Tensor zeroLike(const at::Tensor& like) { return at::zeros({}, like.options()); }

}  // namespace tc
