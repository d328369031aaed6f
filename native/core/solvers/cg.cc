#include "core/solvers/cg.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>

#include "core/profiler/stage.h"
#include "core/runtime/precision.h"
#include "core/solvers/block_cg.h"
#include "core/solvers/linear_method.h"

namespace tc {
namespace {

/// A direction whose product is below this many units of A's rounding is taken for one that A does
/// not see: a step along it would only add noise.
constexpr double kUnseen = 0.25;

std::optional<Ending> preconditionerEnding(double rz) {
  if (std::isfinite(rz))
    return Ending{"preconditioner", "the preconditioner is not positive definite"};
  return Ending{"nan", "a product with the preconditioner gave NaN or infinity"};
}

std::optional<Ending> sweep(System& system, const at::Tensor& r) {
  at::Tensor z = system.precondition(r);
  at::Tensor p = z.clone();
  double rz = dotOf(r, z);
  while (system.goesOn()) {
    const profiling::Stage iteration("torch_curvature::cg_iteration");
    if (!(rz > 0 && std::isfinite(rz))) return preconditionerEnding(rz);
    const at::Tensor ap = system.apply(p);
    const double curvature = dotOf(p, ap);
    if (!std::isfinite(curvature))
      return Ending{"nan", "a product with the operator gave NaN or infinity"};
    const double sizeOfP = normOf(p);
    const double stretch = normOf(ap) / sizeOfP;
    system.sizeOfA = std::max(system.sizeOfA, stretch);
    if (curvature <= 0 || stretch <= kUnseen * epsilonOf(r) * system.sizeOfA) {
      return Ending{"indefinite",
                    "the operator is not positive definite (a direction has curvature " +
                        c10::str(system.unscaled(curvature / sizeOfP / sizeOfP)) +
                        "); use minres, or damp it"};
    }
    const double alpha = rz / curvature;
    r.sub_(ap, alpha);
    const double residual = normOf(r);
    if (!std::isfinite(residual)) return Ending{"nan", "the iteration gave NaN or infinity"};
    system.d.add_(p, alpha);
    if (auto ending = system.advance(residual)) return ending;
    if (!system.goesOn()) break;
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
      "the residual no longer falls: rounding keeps it above the tolerance (use a larger one, or "
      "float64), or the system has no solution",
      sweep);
}

namespace {

Record run(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  return solveLinear(given.flag("block") ? blockCg : cg, a, given, stop);
}

const Rows<SolverMethod> kRows(solverMethods(), {{"cg", run}});

}  // namespace

}  // namespace tc
