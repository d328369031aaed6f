#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/operators/linear_operator.h"

namespace tc {

/// Called after each iteration on the thread that solves; `false` ends the solver.
using OnIteration =
    std::function<bool(int64_t rightHandSide, int64_t iteration, double residualNorm)>;

/// What `cg` and `minres` have in common; names and defaults as in SciPy.
struct SolverOptions {
  double tolerance = 1e-5;    ///< on ‖b − A x‖ / ‖b‖
  int64_t maxIterations = 0;  ///< for each right-hand side; 0: ten times the number of unknowns
  OperatorPtr
      preconditioner;       ///< an approximation of A⁻¹, symmetric positive definite; may be null
  at::Tensor x0;            ///< start, of the shape of b; may be undefined (zero)
  OnIteration onIteration;  ///< may be empty
};

/// How one right-hand side ended.
struct SolverRecord {
  int64_t iterations = 0;
  double residualNorm = 0;  ///< ‖b − A x‖
  bool converged = false;
  /// `converged`, `maxIterations`, `indefinite` (a direction with pᵀAp ≤ 0: the matrix is not
  /// positive definite), `nan`, `stagnation` (rounding keeps the tolerance out of reach), `stopped`
  /// (by the callback), `preconditioner` (it is not positive definite).
  std::string reason;
  std::string message;  ///< for people; empty when converged
};

struct SolverResult {
  at::Tensor x;  ///< of the shape of b: [n] or [k, n]
  std::vector<SolverRecord> records;
};

/// What an iteration reports when it cannot go on: the reason and the message of its record.
struct Ending {
  const char* reason;
  std::string message;
};

/// One right-hand side b, [n], on its way to x.
struct System {
  const LinearOperator& a;
  const SolverOptions& options;
  const StopToken& stop;
  int64_t index;  ///< of the right-hand side
  double target;  ///< the ‖b − A x‖ that is small enough
  int64_t limit;  ///< the most iterations
  at::Tensor x;   ///< so far; updated in place
  SolverRecord record;

  bool goesOn() const { return record.residualNorm > target && record.iterations < limit; }
  /// M r, with the preconditioner M.
  at::Tensor precondition(const at::Tensor& r) const;
  /// One iteration more, after which ‖b − A x‖ is this, as the recurrence has it.
  std::optional<Ending> advance(double residualNorm);
};

/// Improves x by a recurrence that begins with the residual r = b − A x, while the system goes on
/// and the recurrence does.
using Sweep = std::function<std::optional<Ending>(System&, at::Tensor r)>;

/// Solves for each right-hand side by sweeps: once, and again from the true residual where the
/// recurrence has drifted from it, as long as that halves it; `stagnation` says why it may not.
/// Throws Error ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_INVALID_ARGUMENT, and ABORTED through
/// the operator.
SolverResult solveBySweeps(const LinearOperator& a, const at::Tensor& b,
                           const SolverOptions& options, const StopToken& stop,
                           const char* stagnation, const Sweep& sweep);

/// ‖x‖ and ⟨x, y⟩ as numbers.
double normOf(const at::Tensor& x);
double dotOf(const at::Tensor& x, const at::Tensor& y);
/// Distance from 1 to the next number in the tensor's precision.
double epsilonOf(const at::Tensor& tensor);

}  // namespace tc
