#include "core/operators/curvature.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>

#include <utility>

#include "core/runtime/error.h"

namespace tc {

OperatorPtr gaussNewton(LinearizationPtr linearization, Objective objective, RowWeights weights) {
  const at::Tensor y = linearization->output();
  return sandwich(std::move(linearization),
                  lossHessian(std::move(objective), y, std::move(weights)));
}

std::unique_ptr<CenteredMap> empiricalFisherMap(const at::Tensor& y, const Objective& objective,
                                                const RowWeights& weights, Per per) {
  const at::Tensor gradients = objective.loss->gradient(y, objective.target);
  return outerProducts(gradients.unsqueeze(1), dataLayout(*objective.loss, y, per), objective.scale,
                       weights, dataWeight(y, objective, weights, per));
}

std::unique_ptr<CenteredMap> monteCarloFisherMap(const at::Tensor& y, const Objective& objective,
                                                 const RowWeights& weights, Per per,
                                                 const Draws& draws, int64_t samples) {
  if (samples < 1) throw Error("ERR_INVALID_ARGUMENT", "mcSamples should be at least 1");
  std::vector<at::Tensor> gradients;
  for (int64_t sample = 0; sample < samples; ++sample) {
    gradients.push_back(objective.loss->sampledGradient(y, objective.target, draws, sample));
  }
  return outerProducts(at::stack(gradients, 1), dataLayout(*objective.loss, y, per),
                       objective.scale / static_cast<double>(samples), weights,
                       dataWeight(y, objective, weights, per));
}

double dataWeight(const at::Tensor& y, const Objective& objective, const RowWeights& weights,
                  Per per) {
  const at::Tensor data = countData(*objective.loss, y, objective.target, per);
  return weights.times(data, 0, data.size(0)).sum().item<double>();
}

}  // namespace tc
