#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "core/solvers/bidiagonalization.h"
#include "core/solvers/method.h"

namespace tc {

/// What a method knows after a step. A bar means: of [A; λI], whose residual for d = x − x0 has
/// −λd below b − A x.
struct LeastSquaresState {
  double residual = 0;        ///< ‖r̄‖
  double normalResidual = 0;  ///< ‖Āᵀr̄‖
  double normA = 0;           ///< estimate of the Frobenius norm of Ā
  double conditionA = 0;      ///< estimate of its condition
  double normX = 0;           ///< what A's error is multiplied by in the tests
};

/// A method's way from step to step of the bidiagonalization that began with b − A x0.
class LeastSquaresRecurrence {
 public:
  virtual ~LeastSquaresRecurrence() = default;
  /// Moves x, [cols], by the step that the process has just made.
  virtual LeastSquaresState advance(const Bidiagonalization& process, at::Tensor& x) = 0;
};

struct LeastSquaresMethod {
  const char* name;
  const char* stage;  ///< of profiles, as the next
  const char* iterationStage;
  int64_t maxIterations;  ///< where none is given
  std::function<std::unique_ptr<LeastSquaresRecurrence>(const Bidiagonalization&, double damp)>
      begin;
};

/// min ‖b − A x‖² + λ² ‖x − x0‖² for any A; of several solutions the one nearest x0, but 0 for a b
/// and λ of 0. The options are SciPy's, by their names and defaults: `b`, `damp` (λ), `atol`,
/// `btol`, `conlim`, `maxIterations`, `x0`, `onIteration`. Gives `x`, `iterations`, `residualNorm`
/// and `normalResidualNorm` (‖b − A x‖ and ‖Aᵀ(b − A x) − λ²(x − x0)‖ of this x, by products),
/// `normA`, `conditionA`, `converged`, `message` and `reason`: `solution` (A x = b to the
/// tolerances), `leastSquares` (the least-squares solution to them), `condition` (it seems larger
/// than conlim), `maxIterations`, `stopped`, `nan`. Throws Error ERR_SHAPE_MISMATCH,
/// ERR_DTYPE_MISMATCH, ERR_INVALID_ARGUMENT, and ABORTED through the operator.
Record solveLeastSquares(const LeastSquaresMethod& method, const LinearOperator& a,
                         const Arguments& given, const StopToken& stop);

/// A recurrence as a method: made from the process as it begins and λ, with `kName`, `kStage`,
/// `kIterationStage` and `maxIterations(a)`.
template <typename Recurrence>
Record leastSquaresMethod(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  const auto begin = [](const Bidiagonalization& process, double damp) {
    return std::make_unique<Recurrence>(process, damp);
  };
  return solveLeastSquares({Recurrence::kName, Recurrence::kStage, Recurrence::kIterationStage,
                            Recurrence::maxIterations(a), begin},
                           a, given, stop);
}

}  // namespace tc
