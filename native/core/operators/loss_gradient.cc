#include "core/operators/loss_gradient.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include "core/linearization/engine.h"
#include "core/linearization/rows.h"
#include "core/profiler/stage.h"
#include "core/runtime/stop.h"
#include "core/runtime/sum.h"

namespace tc {

LossGradient lossGradient(const Point& point, const ChunkOptions& options,
                          const Objective& objective, const RowWeights& weights,
                          const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::loss_gradient", {point.params, point.x()});
  const StopScope scope(stop);  // for losses that are programs
  // A mean over no terms is NaN, even where there are no rows at all.
  Sum loss;
  Sum gradient;
  loss.add(at::zeros({}, point.params.options()) * objective.valueScale);
  const Engine engine = chooseEngine(point, options.engine);
  stage.describes(point.params.numel(), point.batch(),
                  engine == Engine::kFused ? "fused" : "autograd");
  const int64_t chunk = rowsAtOnce(point, options.chunkSize, stop);
  forEachChunk(point.batch(), chunk, stop, [&](int64_t begin, int64_t end) {
    const auto linearization = linearizeOnce(withRows(point, begin, end), engine, /*chunkSize=*/0);
    const Objective part = objective.rows(begin, end);
    at::Tensor value;
    const auto cotangent = [&](const at::Tensor& y) {
      const at::Tensor values = part.loss->rowValues(y, part.target);
      value = weights.times(values, begin, end).sum() * part.valueScale;
      return weights.times(part.loss->gradient(y, part.target) * part.scale, begin, end);
    };
    gradient.add(linearization->pullback(cotangent, stop));
    loss.add(value);
  });
  return {loss.total(), gradient.totalLike(point.params)};
}

}  // namespace tc
