#include "core/products/forward.h"

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include "core/linearization/rows.h"
#include "core/linearization/rows_on_cores.h"
#include "core/profiler/stage.h"
#include "core/program/program.h"

namespace tc {

at::Tensor forwardPass(const Point& point, int64_t chunkSize, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::forward", {point.params, point.x()});
  stage.describes(point.params.numel(), point.batch(), "autograd");
  const c10::NoGradGuard noGradients;
  const StopScope scope(stop);
  const int64_t batch = point.batch();
  if (batch == 0) return emptyOutput(point);
  const auto parameters = point.program->unflatten(point.params);
  at::Tensor result;
  forEachChunk(batch, rowsAtOnce(point, chunkSize, stop), stop, [&](int64_t begin, int64_t end) {
    const RowsOnCores cores(withRows(point, begin, end));
    const at::Tensor y = cores.joined(stop, [&](size_t i) {
      return point.program->run(parameters, cores.part(i).inputs, point.constants);
    });
    if (end - begin == batch) {
      result = y;
      return;
    }
    if (!result.defined()) {
      auto shape = y.sizes().vec();
      shape[0] = batch;
      result = at::empty(shape, y.options());
    }
    result.narrow(0, begin, end - begin).copy_(y);
  });
  return result;
}

}  // namespace tc
