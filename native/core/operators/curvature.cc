#include "core/operators/curvature.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>

#include <utility>

#include "core/error.h"

namespace tc {

OperatorPtr gramian(LinearizationPtr linearization, RowWeights weights) {
  return sandwich(std::move(linearization), rowWeighting(std::move(weights)));
}

OperatorPtr gaussNewton(LinearizationPtr linearization, Objective objective, RowWeights weights) {
  const at::Tensor y = linearization->output();
  return sandwich(std::move(linearization),
                  lossHessian(std::move(objective), y, std::move(weights)));
}

OperatorPtr empiricalFisher(LinearizationPtr linearization, const Objective& objective,
                            RowWeights weights) {
  const at::Tensor y = linearization->output();
  const at::Tensor gradients = objective.loss->gradient(y, objective.target) * objective.rowScale;
  // L = c Σ ℓₙ and ℓₙ = rowScale Σ terms give c = scale / rowScale.
  const double scale = objective.scale / objective.rowScale;
  return sandwich(std::move(linearization),
                  rankOne(gradients.unsqueeze(0), scale, std::move(weights)));
}

OperatorPtr monteCarloFisher(LinearizationPtr linearization, const Objective& objective,
                             RowWeights weights, int64_t samples, uint64_t seed) {
  if (samples < 1) throw Error("ERR_INVALID_ARGUMENT", "mcSamples should be at least 1");
  const at::Tensor y = linearization->output();
  Random random(seed);
  std::vector<at::Tensor> gradients;
  for (int64_t sample = 0; sample < samples; ++sample)
    gradients.push_back(objective.loss->sampledGradient(y, objective.target, random));
  return sandwich(std::move(linearization),
                  rankOne(at::stack(gradients), objective.scale / static_cast<double>(samples),
                          std::move(weights)));
}

}  // namespace tc
