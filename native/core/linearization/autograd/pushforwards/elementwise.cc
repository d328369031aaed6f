// y = f(a, b, …) number by number: ẏ = ∂f/∂a ȧ + ∂f/∂b ḃ + …, where tangents broadcast like their
// primals.

#include <ATen/TensorOperators.h>
#include <ATen/ops/_unpack_dual.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sigmoid_backward.h>
#include <ATen/ops/tanh_backward.h>
#include <ATen/ops/threshold_backward.h>

#include "core/linearization/autograd/pushforwards/pushforward.h"

namespace tc {
namespace {

/// ∂f/∂a of the shape of the result; undefined where it is zero.
at::Tensor partial(const Replaced& call, const Call::Active& of) {
  const DualLevel level;
  const at::Tensor ones = at::ones_like(of.primal);
  const at::Tensor dual = makeDual(of.primal, ones, level);
  const at::Tensor result = call.call(of, dual).front();
  const at::Tensor tangent = std::get<1>(at::_unpack_dual(result, level.index()));
  return tangent.defined() && !tangent._is_zerotensor() ? tangent : at::Tensor();
}

/// For functions whose derivative follows from their result by a kernel that is as cheap as a
/// product with a kept derivative, which would take memory.
template <typename Derivative>
Rule ofResult(Derivative derivative) {
  return [derivative](const Call& call) -> Pushforward {
    return [y = call.results.front(), derivative](const Tangents& tangents) -> Tangents {
      return {derivative(tangents.front(), y)};
    };
  };
}

}  // namespace

at::Tensor slopeAt(const Call& call) { return partial(Replaced(call), call.active.front()); }

Pushforward elementwise(const Call& call) {
  const Replaced again(call);
  std::vector<at::Tensor> partials;
  partials.reserve(call.active.size());
  for (const Call::Active& each : call.active) partials.push_back(partial(again, each));
  return [partials](const Tangents& tangents) -> Tangents {
    at::Tensor sum;
    for (size_t i = 0; i < partials.size(); ++i) {
      if (!partials[i].defined()) continue;
      sum = sum.defined() ? sum.addcmul_(partials[i], tangents[i]) : partials[i] * tangents[i];
    }
    return {sum};
  };
}

namespace {

const Rows<Rule> kRows(pushforwardRules(),
                       {
                           {"aten::relu", ofResult([](const at::Tensor& t, const at::Tensor& y) {
                              return at::threshold_backward(t, y, 0);
                            })},
                           {"aten::sigmoid", ofResult([](const at::Tensor& t, const at::Tensor& y) {
                              return at::sigmoid_backward(t, y);
                            })},
                           {"aten::tanh", ofResult([](const at::Tensor& t, const at::Tensor& y) {
                              return at::tanh_backward(t, y);
                            })},
                       });

}  // namespace

}  // namespace tc
