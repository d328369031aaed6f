#include "core/solvers/solver_inverse.h"

#include <c10/util/StringUtil.h>

#include <limits>
#include <utility>

#include "core/runtime/error.h"
#include "core/solvers/cg.h"
#include "core/solvers/inverse.h"
#include "core/solvers/minres.h"
#include "core/solvers/scale.h"

namespace tc {
namespace {

class SolverInverse : public LinearOperator {
 public:
  SolverInverse(OperatorPtr a, LinearSolver solver, SolverOptions options, double accepted)
      : LinearOperator(a->rows(), a->cols(), a->options()),
        a_(std::move(a)),
        solver_(solver),
        options_(std::move(options)),
        accepted_(accepted) {}

  bool symmetric() const override { return true; }
  const char* engine() const override { return a_->engine(); }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return solve(v, stop);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return solve(vectors, stop);
  }

 private:
  at::Tensor solve(const at::Tensor& b, const StopToken& stop) const {
    SolverResult result = solver_(*a_, b, options_, stop);
    for (size_t i = 0; i < result.records.size(); ++i) {
      const SolverRecord& record = result.records[i];
      const at::Tensor side = b.dim() == 1 ? b : b[static_cast<int64_t>(i)];
      if (record.converged || record.residualNorm <= accepted_ * normOf(side)) continue;
      throw Error("ERR_NO_CONVERGENCE",
                  c10::str("the inverse did not reach its tolerance: after ", record.iterations,
                           " iterations the residual is ", record.residualNorm, " (", record.reason,
                           ": ", record.message, "); with strict: false such products pass"));
    }
    return std::move(result.x);
  }

  OperatorPtr a_;
  LinearSolver solver_;
  SolverOptions options_;
  double accepted_;
};

template <LinearSolver kSolver>
OperatorPtr make(OperatorPtr a, const Arguments& given) {
  SolverOptions options;
  options.tolerance = given.number("tolerance", options.tolerance);
  options.maxIterations = given.integer("maxIterations");
  options.preconditioner = given.op("preconditioner");
  return solverInverse(std::move(a), kSolver, std::move(options),
                       given.flag("strict", true) ? 0 : std::numeric_limits<double>::infinity());
}

const Rows<InverseMethod> kRows(inverseMethods(),
                                {{"cgInverse", make<cg>}, {"minresInverse", make<minres>}});

}  // namespace

OperatorPtr solverInverse(OperatorPtr a, LinearSolver solver, SolverOptions options,
                          double accepted) {
  requireSquare(*a, "an inverse");
  return std::make_shared<SolverInverse>(std::move(a), solver, std::move(options), accepted);
}

}  // namespace tc
