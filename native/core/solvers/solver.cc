#include "core/solvers/solver.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "core/runtime/error.h"
#include "core/runtime/precision.h"
#include "core/solvers/symmetry.h"

namespace tc {
namespace {

/// What a residual has to fall by for another try.
constexpr double kLower = 0.999;

/// A x for an x of any scale.
at::Tensor product(const LinearOperator& a, const at::Tensor& x, const StopToken& stop) {
  const int exponent = exponentOf(x);
  return scaledBy(a.matvec(scaledBy(x, -exponent), stop), exponent);
}

/// y 2^exponent, as a tensor of its own.
at::Tensor scaledCopy(const at::Tensor& y, int exponent) {
  return exponent == 0 ? y.clone() : scaledBy(y, exponent);
}

/// Applies `sweep` to b from x, in place.
Ending solveOne(System& system, const LinearOperator& a, const at::Tensor& b, const at::Tensor& x,
                const SolverOptions& options, const StopToken& stop, int64_t limit,
                const char* stagnation, const Sweep& sweep) {
  SolverRecord& record = system.record;
  record.residualNorm = normOf(b);
  if (!std::isfinite(largestOf(b)) || !std::isfinite(largestOf(x))) {
    record.residualNorm = std::numeric_limits<double>::quiet_NaN();
    return {"nan", "the right-hand side or the start holds NaN or infinity"};
  }
  if (record.residualNorm == 0 && limit > 0) {
    x.zero_();  // the solution, wherever the start was
    return {"converged", ""};
  }
  // The norms of b and r as a number near 1 and an exponent: they may be beyond float64.
  const int exponentOfB = exponentOf(b);
  const double target = options.tolerance * normOf(scaledBy(b, -exponentOfB));
  const auto within = [&](const at::Tensor& r) {
    return normOf(scaledBy(r, -exponentOfB)) <= target;
  };

  at::Tensor r = options.x0.defined() ? b - product(a, x, stop) : b;
  double before = std::numeric_limits<double>::infinity();
  at::Tensor xBefore;
  bool lost = false;
  std::optional<Ending> ending;
  while (true) {
    record.residualNorm = normOf(r);
    // A reason to end that the sweep met holds, unless x turns out to be good enough.
    if (ending && std::string_view(ending->reason) == "nan") return *ending;
    if (!std::isfinite(largestOf(r)))
      return {"nan", "a product with the operator gave NaN or infinity"};
    if (within(r)) return {"converged", ""};
    if (ending) return *ending;
    if (record.iterations >= limit) {
      return {"maxIterations", "no convergence within " + std::to_string(limit) + " iterations"};
    }
    if (!(record.residualNorm < before * (system.brokeOff ? kLower : 0.5))) {
      if (xBefore.defined() && record.residualNorm > before) {
        // A refinement that rounding spoilt is taken back.
        x.copy_(xBefore);
        record.residualNorm = before;
      }
      if (lost) return outOfRange();
      return {"stagnation", stagnation};
    }
    const bool refines = record.iterations > 0;
    if (refines) xBefore = x.clone();
    before = record.residualNorm;
    ending = sweep(system, system.begin(r, target, exponentOfB));
    const at::Tensor next = x + system.correction(lost);
    if (std::isfinite(largestOf(next))) {
      x.copy_(next);
    } else if (!ending) {
      ending = outOfRange();
    }
    r = b - product(a, x, stop);
  }
}

}  // namespace

Ending outOfRange() { return {"range", kOutOfRange}; }

void checkSystem(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options) {
  requireSquare(a, "a linear solver");
  if (b.dim() < 1 || b.dim() > 2 || b.size(-1) != a.rows()) {
    throw Error("ERR_SHAPE_MISMATCH", "b should have one element for each of the operator's " +
                                          std::to_string(a.rows()) + " rows");
  }
  if (b.dtype() != a.options().dtype())
    throw Error("ERR_DTYPE_MISMATCH", "b should have the precision of the operator");
  if (options.x0.defined()) {
    if (options.x0.sizes() != b.sizes())
      throw Error("ERR_SHAPE_MISMATCH", "x0 should have the shape of b");
    if (options.x0.dtype() != b.dtype())
      throw Error("ERR_DTYPE_MISMATCH", "x0 should have the precision of b");
  }
  if (options.preconditioner &&
      (options.preconditioner->rows() != a.rows() || options.preconditioner->cols() != a.rows())) {
    throw Error("ERR_SHAPE_MISMATCH", "the preconditioner should have the shape of the operator");
  }
  if (!(options.tolerance >= 0))
    throw Error("ERR_INVALID_ARGUMENT", "tolerance should not be negative");
  if (options.maxIterations.value_or(0) < 0)
    throw Error("ERR_INVALID_ARGUMENT", "maxIterations should not be negative");
}

at::Tensor System::begin(const at::Tensor& r, double target, int targetExponent) {
  exponent_ = exponentOf(r);
  at::Tensor scaled = scaledCopy(r, -exponent_);
  start_ = residual_ = normOf(scaled);
  // What a recurrence says beyond the square of the precision changes no digit of x.
  const double epsilon = epsilonOf(r);
  enough_ = std::max(std::ldexp(target, targetExponent - exponent_), start_ * epsilon * epsilon);
  d = at::zeros_like(r);
  brokeOff = false;
  return scaled;
}

at::Tensor System::correction(bool& lost) const {
  const int exponent = exponent_ - exponentOfA_.value_or(0);
  at::Tensor result = scaledBy(d, exponent);
  const double least = d.scalar_type() == at::kDouble
                           ? std::numeric_limits<double>::min()
                           : static_cast<double>(std::numeric_limits<float>::min());
  const double largest = largestOf(result);
  lost = largestOf(d) > 0 && !(largest >= least && std::isfinite(largest));
  return result;
}

at::Tensor System::apply(const at::Tensor& v) {
  const at::Tensor product = a_.matvec(v, stop_);
  if (!exponentOfA_) {
    const double largest = largestOf(product);
    if (largest > 0 && std::isfinite(largest)) exponentOfA_ = exponentOf(product);
  }
  return scaledBy(product, -exponentOfA_.value_or(0));
}

at::Tensor System::precondition(const at::Tensor& r) {
  if (!options_.preconditioner) return r;
  const at::Tensor product = options_.preconditioner->matvec(r, stop_);
  if (!exponentOfM_) exponentOfM_ = exponentOf(product);
  return scaledBy(product, -*exponentOfM_);
}

std::optional<Ending> System::advance(double residual) {
  residual_ = residual;
  ++record.iterations;
  record.residualNorm = std::ldexp(residual, exponent_);
  if (options_.onIteration && !options_.onIteration(index_, record.iterations, record.residualNorm))
    return Ending{"stopped", "stopped by onIteration"};
  return std::nullopt;
}

double System::unscaled(double value) const { return std::ldexp(value, exponentOfA_.value_or(0)); }

SolverResult solveBySweeps(const LinearOperator& a, const at::Tensor& b,
                           const SolverOptions& options, const StopToken& stop,
                           const char* stagnation, const Sweep& sweep) {
  checkSystem(a, b, options);
  requireSymmetric(a, "a linear solver", stop);
  const int64_t limit = options.maxIterations.value_or(10 * a.rows());
  SolverResult result{options.x0.defined() ? options.x0.clone() : at::zeros_like(b), {}};
  const auto solve = [&](const at::Tensor& one, const at::Tensor& x, int64_t index) {
    System system(a, options, stop, index, limit);
    Ending ending = solveOne(system, a, one, x, options, stop, limit, stagnation, sweep);
    system.record.converged = std::string_view(ending.reason) == "converged";
    system.record.reason = ending.reason;
    system.record.message = std::move(ending.message);
    result.records.push_back(std::move(system.record));
  };
  if (b.dim() == 1) {
    solve(b, result.x, 0);
  } else {
    for (int64_t i = 0; i < b.size(0); ++i) solve(b[i], result.x[i], i);
  }
  return result;
}

}  // namespace tc
