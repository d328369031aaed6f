// Operators whose derivatives libtorch's forward mode has wrong, in the versions tried (2.13): at
// arguments that are not symmetric it disagrees with finite differences and with its backward
// passes (scripts/reference/operators.py).

#include <ATen/TensorOperators.h>

#include "core/linearization/autograd/pushforwards/pushforward.h"

namespace tc {
namespace {

/// Factorizations of symmetric matrices, or Hermitian ones, read one triangle. Their gradients are
/// symmetric, so that tangents count by their symmetric parts.
Pushforward ofSymmetric(const Call& call) {
  if (!call.only(0)) return {};
  return [push = withDuals(call)](const Tangents& tangents) {
    const at::Tensor& tangent = tangents.front();
    return push({(tangent + tangent.mH()) / 2});
  };
}

/// By the backward pass of the backward pass instead.
[[noreturn]] Pushforward none(const Call& call) {
  C10_THROW_ERROR(NotImplementedError,
                  call.op.schema().name() + " has no right derivative in forward mode");
}

/// The backward pass takes an imaginary part of the diagonal, which has none, as well.
Pushforward cholesky(const Call& call) {
  return call.results.front().is_complex() ? none(call) : ofSymmetric(call);
}

/// Products are taken to be constant.
Pushforward scatterReduce(const Call& call) {
  return call.arguments[4].toStringRef() == "prod" ? none(call) : Pushforward();
}

/// Of the tangent of a real operand of a complex power libtorch takes the real part of what it
/// gives: here the operand is complex, too.
Pushforward power(const Call& call) {
  const at::ScalarType type = call.results.front().scalar_type();
  if (!c10::isComplexType(type)) return {};
  Call complex = call;
  for (c10::IValue& argument : complex.arguments)
    if (argument.isTensor()) argument = argument.toTensor().to(type);
  for (Call::Active& each : complex.active) each.primal = each.primal.to(type);
  return [push = withDuals(complex), type](const Tangents& tangents) {
    Tangents all;
    for (const at::Tensor& each : tangents) all.push_back(each.to(type));
    return push(all);
  };
}

const Rows<Rule> kRows(corrections(), {
                                          {"aten::_linalg_eigh", ofSymmetric},
                                          {"aten::linalg_cholesky", cholesky},
                                          {"aten::linalg_cholesky_ex", cholesky},
                                          {"aten::linalg_eigh", ofSymmetric},
                                          {"aten::cholesky_inverse", none},
                                          {"aten::triangular_solve", none},
                                          {"aten::pow", power},
                                          {"aten::scatter_reduce", scatterReduce},
                                      });

}  // namespace
}  // namespace tc
