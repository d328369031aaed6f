#pragma once

#include <ATen/core/stack.h>

#include <functional>
#include <vector>

#include "core/linearization/autograd/pushforwards/pushforward.h"
#include "core/runtime/table.h"

namespace tc {

/// The transpose of a Pushforward: cotangents of the results, at least one of them defined, to
/// those of `Call::active`. An undefined one is zero. May be called more than once.
using Pullback = std::function<Tangents(const Tangents&)>;

/// The derivative of an operator at a call with its transpose, which share what they keep.
struct LinearMap {
  Pushforward push;
  Pullback pull;

  explicit operator bool() const { return push != nullptr; }
};

/// How an operator is linearized by kernels of this project, on the CPU, where these are faster
/// than libtorch's: an empty map where the rule does not apply to this call.
using MapRule = std::function<LinearMap(const Call&)>;

/// The rules by the operator's name, as in `pushforwardRules`. Each kind of operator has a file,
/// which adds its rows.
Table<MapRule>& mapRules();

/// By the table; empty for operators that it has no rule for, and for tensors that are not all on
/// the CPU and of the results' precision, float32 or float64.
LinearMap linearMap(const Call& call);

/// The result of an operator by kernels of this project, for processors where they are faster than
/// libtorch's.
struct ResultRule {
  bool (*fit)(const torch::jit::Stack&);  ///< whether they can do this call
  at::Tensor (*compute)(const torch::jit::Stack&);
};

Table<ResultRule>& resultRules();

/// By the table; undefined where libtorch is to compute it. Gradients have to be off.
at::Tensor resultByKernels(const c10::OperatorHandle& op, const torch::jit::Stack& arguments);

/// Whether the table has a rule for the operator.
bool hasMapRule(const c10::OperatorHandle& op);

}  // namespace tc
