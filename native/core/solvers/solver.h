#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/operators/arguments.h"
#include "core/operators/linear_operator.h"
#include "core/solvers/scale.h"

namespace tc {

/// What linear solvers have in common; names and defaults as in SciPy.
struct SolverOptions {
  double tolerance = 1e-5;  ///< on ‖b − A x‖ / ‖b‖
  /// Of steps for each right-hand side; ten times the number of unknowns by default. With 0 the
  /// start is only judged.
  std::optional<int64_t> maxIterations;
  OperatorPtr
      preconditioner;       ///< an approximation of A⁻¹, symmetric positive definite; may be null
  at::Tensor x0;            ///< start, of the shape of b; may be undefined (zero)
  OnIteration onIteration;  ///< may be empty
};

/// Throws Error ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH or ERR_INVALID_ARGUMENT where the parts of
/// A x = b do not fit together.
void checkSystem(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options);

/// How one right-hand side ended.
struct SolverRecord {
  int64_t iterations = 0;   ///< steps of the method
  double residualNorm = 0;  ///< ‖b − A x‖ of the x returned, by a product
  bool converged = false;
  /// `converged`, `maxIterations`, `indefinite` (a direction with pᵀAp ≤ 0: the matrix is not
  /// positive definite), `nan`, `stagnation` (rounding, or a system without a solution, keeps the
  /// tolerance out of reach), `range` (the solution is no number of the precision), `stopped` (by
  /// the callback), `preconditioner` (it is not positive definite).
  std::string reason;
  std::string message;  ///< for people; empty when converged
};

struct SolverResult {
  at::Tensor x;  ///< of the shape of b: [n] or [k, n]; the iterate that was reached
  std::vector<SolverRecord> records;
};

/// What an iteration reports when it cannot go on: the reason and the message of its record.
struct Ending {
  const char* reason;
  std::string message;
};

/// The ending of a solution that is no number of the precision.
Ending outOfRange();

/// One right-hand side b, [n], on its way to x. A sweep works on Ã d = r̃ with A and r scaled by
/// powers of two, so that numbers of any size are squared safely; it changes no digit of its steps.
class System {
 public:
  System(const LinearOperator& a, const SolverOptions& options, const StopToken& stop,
         int64_t index, int64_t limit)
      : options_(options), stop_(stop), a_(a), index_(index), limit_(limit) {}

  at::Tensor d;        ///< what the sweep has added so far, scaled; updated in place
  double sizeOfA = 0;  ///< lower bound of ‖Ã‖ so far, kept over sweeps
  /// The sweep ended where its recurrence says no more, not for being done.
  bool brokeOff = false;

  /// Ã v. The first product decides the scale of A.
  at::Tensor apply(const at::Tensor& v);
  /// M̃ r with the preconditioner M, scaled likewise; r itself without one.
  at::Tensor precondition(const at::Tensor& r);

  /// ‖r̃‖ at the start of the sweep.
  double start() const { return start_; }
  bool goesOn() const { return residual_ > enough_ && record.iterations < limit_; }
  /// One iteration more, after which the residual's norm is this, as the recurrence has it.
  std::optional<Ending> advance(double residual);
  /// A curvature or eigenvalue of Ã as one of A.
  double unscaled(double value) const;

  // For `solveBySweeps`.
  SolverRecord record;
  /// Gets ready for a sweep from the residual r: returns r̃. `target` is the ‖r‖ that is enough.
  at::Tensor begin(const at::Tensor& r, double target, int targetExponent);
  /// What the sweep found, in the scale of x; `lost` where it is no number of the precision.
  at::Tensor correction(bool& lost) const;

 private:
  const SolverOptions& options_;
  const StopToken& stop_;
  const LinearOperator& a_;
  int64_t index_;
  int64_t limit_;
  std::optional<int> exponentOfA_;
  std::optional<int> exponentOfM_;
  int exponent_ = 0;  ///< of r
  double start_ = 0;
  double residual_ = 0;
  double enough_ = 0;
};

/// Improves d by a recurrence that begins with the residual r̃, while the system goes on and the
/// recurrence does.
using Sweep = std::function<std::optional<Ending>(System&, at::Tensor r)>;

/// Solves for each right-hand side by sweeps: once, and again from the true residual where the
/// recurrence has drifted from it, as long as that halves it, or lowers it where the recurrence
/// broke off; `stagnation` says why it may not.
/// However it ends, x is the iterate that was reached, and the residual is computed for it by a
/// product. Throws Error ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_INVALID_ARGUMENT, and ABORTED
/// through the operator.
SolverResult solveBySweeps(const LinearOperator& a, const at::Tensor& b,
                           const SolverOptions& options, const StopToken& stop,
                           const char* stagnation, const Sweep& sweep);

}  // namespace tc
