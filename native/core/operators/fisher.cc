#include "core/operators/fisher.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "core/operators/centered_parts.h"
#include "core/operators/request.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// Outputs whose gradients are drawn between two looks at the stop token.
constexpr int64_t kDrawnAtOnce = int64_t{1} << 18;

}  // namespace

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
    const Objective part = objective.rows(begin, end);
    for (int64_t sample = 0; sample < samples; ++sample) {
      stop.poll();
      gradients.narrow(0, begin, end - begin)
          .select(1, sample)
          .copy_(part.loss->sampledGradient(some, part.target, draws.from(begin), sample));
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

namespace {

using MakeMap = std::function<std::unique_ptr<CenteredMap>(
    const at::Tensor& y, const Objective& objective, const RowWeights& weights, Per per)>;

OperatorPtr make(const OperatorRequest& request, const StopToken& stop, bool draws,
                 const MakeMap& map) {
  const RowWeights weights = request.rowWeights();
  const Objective checked = request.objective();  // before the forward pass
  if (draws) requireMatrix(*checked.loss, LossMatrix::kFisher);
  const LinearizationPtr linearization = request.linearization(stop);
  linearization->requireIndependentRows(stop);  // a gradient of each row
  const OperatorPtr op =
      centeredPart(request.arguments.text("part", ""), linearization,
                   map(linearization->output(), checked, weights, request.problem.per));
  DataShare share{checked.meanDivisor(), {}};
  if (draws) share.drawn = {request.arguments.integer("firstRow", 0), linearization->batch()};
  op->setShare(share);
  return op;
}

OperatorPtr makeEmpirical(const OperatorRequest& request, const StopToken& stop) {
  return make(request, stop, /*draws=*/false, empiricalFisherMap);
}

OperatorPtr makeMonteCarlo(const OperatorRequest& request, const StopToken& stop) {
  const Arguments& given = request.arguments;
  const Draws draws(given.seed("seed"), given.integer("firstRow", 0));
  const int64_t samples = given.integer("mcSamples", 1);
  return make(
      request, stop, /*draws=*/true,
      [&](const at::Tensor& y, const Objective& objective, const RowWeights& weights, Per per) {
        return monteCarloFisherMap(y, objective, weights, per, draws, samples, stop);
      });
}

const Rows<OperatorKind> kRows(
    operatorKinds(),
    {{"empiricalFisher", {"torch_curvature::empirical_fisher", makeEmpirical, /*centers=*/true}},
     {"fisher",
      {"torch_curvature::fisher", makeMonteCarlo, /*centers=*/true, LossMatrix::kFisher}}});

}  // namespace

}  // namespace tc
