#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "core/linearization/autograd/dual_level.h"
#include "core/program/program.h"
#include "core/runtime/table.h"

namespace tc {

/// One call of an operator in a forward pass, without autograd's graph: the point at which the
/// operator is linearized.
struct Call {
  /// A tensor among the arguments that the parameters reach; the others are constants.
  struct Active {
    size_t argument;
    size_t element;  ///< of an argument that is a list of tensors; else 0
    at::Tensor primal;
    bool leaf = false;  ///< a parameter as it is, not something made of one
  };

  c10::OperatorHandle op;
  torch::jit::Stack arguments;      ///< in the order of the schema
  std::vector<at::Tensor> results;  ///< undefined where a result is no tensor
  std::vector<Active> active;       ///< in the order of the arguments, at least one

  /// The active tensor that is the whole of an argument; null if that is inactive or a list.
  const Active* find(size_t argument) const;
  /// Whether this argument, a tensor, is all that is active.
  bool only(size_t argument) const;
};

using Tangents = std::vector<at::Tensor>;

/// The derivative of an operator at a call, as a linear map kept for later products: tangents of
/// `Call::active`, each defined and of its primal's shape, to tangents of the results. An undefined
/// result is zero. Results may be views of the tangents that came in.
///
/// What it holds of the call is what it needs: primals that autograd's graph holds too, and the
/// factors f'(x) of element-wise operators.
using Pushforward = std::function<Tangents(const Tangents&)>;

/// How operators are linearized: an empty function where the rule does not apply to this call.
using Rule = std::function<Pushforward(const Call&)>;

/// The rules by the operator's name: `aten::linear`, for every overload, or with one,
/// `aten::mul.Tensor`. Each kind of operator has a file, which adds its rows.
Table<Rule>& pushforwardRules();

/// Rules of operators whose derivatives libtorch's forward mode has wrong: those of complex
/// numbers, too, which other rules do not take.
Table<Rule>& corrections();

/// Any operator that applies a function of numbers to each element: keeps its partial derivatives,
/// which one call with tangents of ones gives.
Pushforward elementwise(const Call& call);

/// ∂f/∂a of the shape of the result, for the first active tensor a of such an operator; undefined
/// where it is zero.
at::Tensor slopeAt(const Call& call);

/// Any operator with forward-mode derivatives: computes it again with dual numbers in each product.
/// The product throws c10::NotImplementedError for one without.
Pushforward withDuals(const Call& call);

/// What the derivatives of scaled-dot-product attention need.
struct Attention {
  at::Tensor q;  ///< s Q
  at::Tensor k;  ///< s K
  at::Tensor v;
  at::Tensor p;  ///< softmax(s Q Kᵀ + M)
};

/// Of a call of it; empty for calls with dropout, grouped heads, or a mask of another precision.
std::optional<Attention> attentionAt(const Call& call);

/// A dual number of any primal.
at::Tensor makeDual(const at::Tensor& primal, const at::Tensor& tangent, const DualLevel& level);

/// By the first table that has the operator, else by its kind. Throws c10::NotImplementedError
/// where that takes a forward-mode derivative that does not exist.
Pushforward pushforward(const Call& call);

/// The arguments of a call with some replaced.
class Replaced {
 public:
  explicit Replaced(const Call& call) : op_(call.op), arguments_(call.arguments) {}

  /// A constant from now on.
  void set(size_t argument, c10::IValue value) { arguments_[argument] = std::move(value); }
  /// Calls the operator with `value` for an argument, or for one element of an argument that is a
  /// list.
  std::vector<at::Tensor> call(const Call::Active& place, const at::Tensor& value) const;
  std::vector<at::Tensor> call(std::span<const Call::Active> places,
                               std::span<const at::Tensor> values) const;

 private:
  c10::OperatorHandle op_;
  torch::jit::Stack arguments_;
};

/// Whether the results have the precision of all that is active, so that a rule need not think of
/// how operators promote.
bool ofOnePrecision(const Call& call);

/// A zero that broadcasts to every shape, of the precision and on the device of `like`.
at::Tensor zeroLike(const at::Tensor& like);

}  // namespace tc
