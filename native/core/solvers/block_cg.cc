#include "core/solvers/block_cg.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "core/operators/factorizations.h"
#include "core/profiler/stage.h"
#include "core/runtime/precision.h"
#include "core/solvers/cg.h"
#include "core/solvers/scale.h"
#include "core/solvers/symmetry.h"

namespace tc {
namespace {

/// Of each row, [k], float64 on the CPU.
at::Tensor normsOf(const at::Tensor& rows) {
  return at::linalg_vector_norm(rows.to(at::kDouble), 2, {1}).cpu();
}

/// Each of several systems in units of its own right-hand side, by powers of two: squares of
/// numbers neither overflow nor vanish.
class Units {
 public:
  explicit Units(const at::Tensor& b) {
    for (const at::Tensor& each : b.unbind(0)) exponents_.push_back(exponentOf(each));
  }

  at::Tensor into(const at::Tensor& rows) const { return scaled(rows, -1); }
  at::Tensor outOf(const at::Tensor& rows) const { return scaled(rows, 1); }
  /// The largest norm, of [k] norms in these units.
  double largestOutOf(const at::Tensor& norms) const {
    double largest = 0;
    for (size_t i = 0; i < exponents_.size(); ++i)
      largest = std::max(largest, outOf(norms[static_cast<int64_t>(i)].item<double>(), i));
    return largest;
  }
  double outOf(double norm, size_t system) const { return std::ldexp(norm, exponents_[system]); }

 private:
  at::Tensor scaled(const at::Tensor& rows, int sign) const {
    const bool ordinary = std::ranges::all_of(exponents_, [](int each) { return each == 0; });
    if (ordinary) return rows;
    std::vector<at::Tensor> all = rows.unbind(0);
    for (size_t i = 0; i < all.size(); ++i) all[i] = scaledBy(all[i], sign * exponents_[i]);
    return at::stack(all);
  }

  std::vector<int> exponents_;
};

/// {r, q} with rows = r q, q orthonormal rows and r lower triangular, [k, k].
std::pair<at::Tensor, at::Tensor> orthonormal(const at::Tensor& rows, const StopToken& stop) {
  const auto [q, r] = reducedQr(rows.t(), stop);
  return {r.t(), q.t().contiguous()};
}

/// What shows in M's products z with orthonormal rows q: that it is not positive definite, beyond
/// rounding, or gives no numbers.
std::optional<Ending> preconditionerEnding(const at::Tensor& q, const at::Tensor& z) {
  if (!std::isfinite(largestOf(z.flatten())))
    return Ending{"nan", "a product with the preconditioner gave NaN or infinity"};
  const at::Tensor projected = at::matmul(q, z.t());
  const at::Tensor values = at::linalg_eigvalsh((projected + projected.t()) / 2).cpu();
  const auto largest = values.max().item<double>();
  const double rounding = static_cast<double>(values.numel()) * epsilonOf(z) * largest;
  if (largest > 0 && values.min().item<double>() >= -rounding) return std::nullopt;
  return Ending{"preconditioner", "the preconditioner is not positive definite"};
}

/// Adds to x what brings all residuals r within the targets, by the recurrence
///
///     r = s q,  z = q M,  p ∝ z − z A p₋ᵀ γ₋ p₋,  γ = (p A pᵀ)⁻¹,
///     x += s q pᵀ γ p,  t q₊ = q − q pᵀ γ p A,  s₊ = s t
///
/// on rows, of which q and p are orthonormal: x depends on no more than what p spans. M is the
/// preconditioner, or I; `iterations` counts, up to `limit`.
std::optional<Ending> sweep(const LinearOperator& a, const at::Tensor& r, const at::Tensor& targets,
                            const SolverOptions& options, const Units& units, const StopToken& stop,
                            int64_t limit, int64_t& iterations, at::Tensor& x) {
  auto [s, q] = orthonormal(r, stop);
  at::Tensor p, ap, factor;  // of the step before: its directions, and the Cholesky factor of γ⁻¹
  while (iterations < limit) {
    const profiling::Stage iteration("torch_curvature::block_cg_iteration");
    at::Tensor z = q;
    if (options.preconditioner) {
      z = options.preconditioner->matmat(q, stop);
      if (auto ending = preconditionerEnding(q, z)) return ending;
    }
    if (p.defined()) z = z - at::matmul(at::matmul(z, ap.t()), at::cholesky_solve(p, factor));
    p = orthonormal(z, stop).second;
    ap = a.matmat(p, stop);
    const at::Tensor curvature = at::matmul(p, ap.t());
    if (!std::isfinite(largestOf(curvature.flatten())))
      return Ending{"nan", "a product with the operator gave NaN or infinity"};
    at::Tensor info;
    std::tie(factor, info) = at::linalg_cholesky_ex((curvature + curvature.t()) / 2);
    if (info.item<int64_t>() != 0) {
      return Ending{"indefinite",
                    "the operator is not positive definite (some direction of an iteration has no "
                    "curvature above rounding); use minres, or damp it"};
    }
    const at::Tensor step = at::cholesky_solve(at::matmul(p, q.t()), factor).t();  // q pᵀ γ
    x.add_(at::matmul(at::matmul(s, step), p));
    ++iterations;
    const auto [turn, next] = orthonormal(q - at::matmul(step, ap), stop);
    s = at::matmul(s, turn);
    const at::Tensor residuals = normsOf(s);
    const double largest = residuals.max().item<double>();
    if (!std::isfinite(largest)) return Ending{"nan", "the iteration gave NaN or infinity"};
    if (options.onIteration && !options.onIteration(0, iterations, units.largestOutOf(residuals)))
      return Ending{"stopped", "stopped by onIteration"};
    if ((residuals <= targets).all().item<bool>()) break;
    q = next;
  }
  return std::nullopt;
}

/// Why it ended; `residuals` are then those of x, by a product.
Ending solve(const LinearOperator& a, const at::Tensor& b, const at::Tensor& targets,
             const SolverOptions& options, const Units& units, const StopToken& stop,
             int64_t& iterations, at::Tensor& x, at::Tensor& residuals) {
  const int64_t limit = options.maxIterations.value_or(10 * a.rows());
  at::Tensor r = options.x0.defined() ? b - a.matmat(x, stop) : b;
  std::optional<Ending> ending;
  double before = std::numeric_limits<double>::infinity();
  while (true) {
    residuals = normsOf(r);
    if (ending && std::string_view(ending->reason) == "nan") return *ending;
    if (!std::isfinite(largestOf(r.flatten())))
      return {"nan", "the right-hand sides, the start or a product hold NaN or infinity"};
    if ((residuals <= targets).all().item<bool>()) return {"converged", ""};
    if (ending) return *ending;
    if (iterations >= limit)
      return {"maxIterations", "no convergence within " + std::to_string(limit) + " iterations"};
    // What is left beyond the targets, of the right-hand side that is furthest from its own.
    const double worst =
        (residuals / targets.clamp_min(std::numeric_limits<double>::min())).max().item<double>();
    if (!(worst < before * 0.5)) {
      return {"stagnation",
              "the residuals no longer fall: rounding keeps them above the tolerance (use a larger "
              "one, or float64), or a system has no solution"};
    }
    before = worst;
    at::Tensor next = x.clone();
    ending = sweep(a, r, targets, options, units, stop, limit, iterations, next);
    if (std::isfinite(largestOf(next.flatten()))) x = next;
    r = b - a.matmat(x, stop);
  }
}

}  // namespace

SolverResult blockCg(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options,
                     const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::block_cg");
  checkSystem(a, b, options);
  // A space of more directions than unknowns is no help.
  if (b.dim() == 1 || b.size(0) < 2 || b.size(0) > a.rows()) return cg(a, b, options, stop);
  requireSymmetric(a, "a linear solver", stop);
  // Each system in units of its own right-hand side.
  const Units units(b);
  SolverOptions how = options;
  if (options.x0.defined()) how.x0 = units.into(options.x0);
  const at::Tensor scaled = units.into(b);
  at::Tensor x = how.x0.defined() ? how.x0.clone() : at::zeros_like(b);
  const at::Tensor targets = normsOf(scaled) * options.tolerance;
  at::Tensor residuals;
  int64_t iterations = 0;
  const Ending ending = solve(a, scaled, targets, how, units, stop, iterations, x, residuals);
  SolverResult result{units.outOf(x), {}};
  for (int64_t i = 0; i < b.size(0); ++i) {
    SolverRecord record;
    record.iterations = iterations;
    record.residualNorm = units.outOf(residuals[i].item<double>(), static_cast<size_t>(i));
    const bool within = residuals[i].item<double>() <= targets[i].item<double>();
    const bool lost = isLost(x[i], result.x[i]);
    const Ending own = lost ? outOfRange() : ending;
    record.converged = within && !lost;
    record.reason = record.converged ? "converged" : own.reason;
    record.message = record.converged ? "" : own.message;
    result.records.push_back(std::move(record));
  }
  return result;
}

}  // namespace tc
