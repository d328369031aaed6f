#include "core/products/on_the_fly.h"

#include "core/linearization/rows.h"
#include "core/profiler/stage.h"
#include "core/program/program.h"

namespace tc {

at::Tensor matvecOnTheFly(const Point& point, const at::Tensor& v, Engine engine, int64_t chunkSize,
                          const StopToken& stop) {
  requireWholeUnits(point);
  const profiling::Stage stage("torch_curvature::matvec_on_the_fly", {point.params, v, point.x()});
  const auto linearization = linearizeOnce(point, engine, chunkSize);
  stage.describes(point.params.numel(), point.batch(), linearization->engine());
  return linearization->matvec(v, stop);
}

}  // namespace tc
