#include "core/solvers/rayleigh_ritz.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>

#include "core/operators/factorizations.h"
#include "core/solvers/scale.h"

namespace tc {

void rayleighRitz(EigshResult& result, const at::Tensor& vectors, const at::Tensor& products,
                  const StopToken& stop) {
  const int exponent = exponentOf(products);
  const at::Tensor images = scaledBy(products, -exponent);
  const at::Tensor projected = at::matmul(vectors, images.t()).to(at::kCPU, at::kDouble);
  const auto [values, rotation] = symmetricEigen((projected + projected.t()) / 2, stop);
  const at::Tensor turn = rotation.t().to(vectors.options());
  result.eigenvectors = at::matmul(turn, vectors);
  const at::Tensor lambda = values.to(vectors.options());
  const at::Tensor rest = at::matmul(turn, images) - lambda.unsqueeze(1) * result.eigenvectors;
  at::Tensor norms = at::empty_like(values);
  for (int64_t i = 0; i < values.numel(); ++i) norms[i] = normOf(rest[i]);
  result.eigenvalues = scaledBy(lambda, exponent);
  result.residualNorms = scaledBy(norms.to(vectors.options()), exponent);
}

}  // namespace tc
