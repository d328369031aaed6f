#include "core/solvers/solver.h"

#include <ATen/ops/dot.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>

#include <limits>

#include "core/error.h"

namespace tc {
namespace {

void checkArguments(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options) {
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
}

}  // namespace

SolverResult solveEach(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options,
                       const SolveOne& solve) {
  checkArguments(a, b, options);
  SolverResult result{options.x0.defined() ? options.x0.clone() : at::zeros_like(b), {}};
  if (b.dim() == 1) {
    result.records.push_back(solve(b, result.x, 0));
    return result;
  }
  for (int64_t i = 0; i < b.size(0); ++i) {
    at::Tensor x = result.x[i];
    result.records.push_back(solve(b[i], x, i));
  }
  return result;
}

int64_t iterationLimit(const LinearOperator& a, const SolverOptions& options) {
  return options.maxIterations > 0 ? options.maxIterations : 10 * a.rows();
}

double normOf(const at::Tensor& x) { return at::linalg_vector_norm(x).item<double>(); }

double epsilonOf(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                             : std::numeric_limits<float>::epsilon();
}

double dotOf(const at::Tensor& x, const at::Tensor& y) { return at::dot(x, y).item<double>(); }

}  // namespace tc
