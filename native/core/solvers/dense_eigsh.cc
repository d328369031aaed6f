#include "core/solvers/dense_eigsh.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>

#include "core/operators/factorizations.h"
#include "core/solvers/block_lanczos.h"
#include "core/solvers/scale.h"
#include "core/solvers/wanted.h"

namespace tc {
namespace {

/// Products that Lanczos has at least before the matrix is formed.
constexpr int64_t kPatience = 200;

}  // namespace

EigshResult denseEigsh(const LinearOperator& a, const EigshOptions& options, int64_t k,
                       const StopToken& stop) {
  const at::Tensor matrix = a.toDense(stop);
  const double largest = largestOf(matrix.flatten());
  if (!std::isfinite(largest)) return notANumber(a, k, a.rows());
  const int exponent = exponentOf(matrix.flatten());
  const at::Tensor wide = scaledBy(matrix, -exponent).to(at::kCPU, at::kDouble);
  const auto [values, vectors] = symmetricEigen((wide + wide.t()) / 2, stop);
  const at::Tensor order =
      options.sigma ? wantedNearFirst(values, std::ldexp(*options.sigma, -exponent), options.which)
                    : wantedFirst(values, options.which);
  const at::Tensor chosen = std::get<0>(order.narrow(0, 0, k).sort());
  EigshResult result;
  const at::Tensor rows = vectors.index_select(1, chosen).t().contiguous();
  const at::Tensor lambda = values.index_select(0, chosen);
  const at::Tensor rest = at::matmul(rows, wide) - lambda.unsqueeze(1) * rows;
  at::Tensor norms = at::empty_like(lambda);
  for (int64_t i = 0; i < k; ++i) norms[i] = normOf(rest[i]);
  result.eigenvalues = scaledBy(lambda, exponent).to(a.options());
  result.residualNorms = scaledBy(norms, exponent).to(a.options());
  result.eigenvectors = rows.to(a.options());
  result.iterations = a.rows();
  result.converged = true;
  result.reason = "converged";
  return result;
}

bool isBetterDense(int64_t n, int64_t products, int64_t limit) {
  return n <= kMostDenseUnknowns && products >= std::max(n, kPatience) && products + n <= limit;
}

}  // namespace tc
