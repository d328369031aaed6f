#include "core/operators/curvature.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

#include "core/runtime/error.h"

namespace tc {
namespace {

/// Outputs whose gradients are drawn between two looks at the stop token.
constexpr int64_t kDrawnAtOnce = int64_t{1} << 18;

}  // namespace

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
                                                 const Draws& draws, int64_t samples,
                                                 const StopToken& stop) {
  if (samples < 1) throw Error("ERR_INVALID_ARGUMENT", "mcSamples should be at least 1");
  auto shape = y.sizes().vec();
  shape.insert(shape.begin() + 1, samples);
  const at::Tensor gradients = at::empty(shape, y.options());
  const int64_t rows = kDrawnAtOnce * y.size(0) / std::max<int64_t>(1, y.numel());
  forEachChunk(y.size(0), std::max<int64_t>(1, rows), stop, [&](int64_t begin, int64_t end) {
    const at::Tensor some = y.narrow(0, begin, end - begin);
    const at::Tensor targets = objective.targetRows(begin, end);
    for (int64_t sample = 0; sample < samples; ++sample) {
      stop.poll();
      gradients.narrow(0, begin, end - begin)
          .select(1, sample)
          .copy_(objective.loss->sampledGradient(some, targets, draws.from(begin), sample));
    }
  });
  return outerProducts(gradients, dataLayout(*objective.loss, y, per),
                       objective.scale / static_cast<double>(samples), weights,
                       dataWeight(y, objective, weights, per));
}

double dataWeight(const at::Tensor& y, const Objective& objective, const RowWeights& weights,
                  Per per) {
  const at::Tensor data = countData(*objective.loss, y, objective.target, per);
  return weights.times(data, 0, data.size(0)).sum().item<double>();
}

}  // namespace tc
