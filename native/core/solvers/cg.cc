#include "core/solvers/cg.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <cmath>

#include "core/profiler/stage.h"

namespace tc {
namespace {

std::optional<Ending> sweep(System& system, at::Tensor r) {
  at::Tensor z = system.precondition(r);
  at::Tensor p = z.clone();
  double rz = dotOf(r, z);
  while (system.goesOn()) {
    const profiling::Stage iteration("torch_curvature::cg_iteration");
    if (rz <= 0) return Ending{"preconditioner", "the preconditioner is not positive definite"};
    const at::Tensor ap = system.a.matvec(p, system.stop);
    const double curvature = dotOf(p, ap);
    if (!std::isfinite(curvature))
      return Ending{"nan", "a product with the operator gave NaN or infinity"};
    if (curvature <= 0) {
      return Ending{"indefinite",
                    "the operator is not positive definite (a direction has curvature " +
                        c10::str(curvature) + "); use minres, or damp it"};
    }
    const double alpha = rz / curvature;
    system.x.add_(p, alpha);
    r.sub_(ap, alpha);
    if (auto ending = system.advance(normOf(r))) return ending;
    z = system.precondition(r);
    const double next = dotOf(r, z);
    p.mul_(next / rz).add_(z);
    rz = next;
  }
  return std::nullopt;
}

}  // namespace

SolverResult cg(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options,
                const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::cg");
  return solveBySweeps(
      a, b, options, stop,
      "rounding keeps the residual above the tolerance; use a larger one or float64", sweep);
}

}  // namespace tc
