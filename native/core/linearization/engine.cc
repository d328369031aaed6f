#include "core/linearization/engine.h"

#include <utility>

#include "core/linearization/autograd/autograd.h"
#include "core/linearization/fused/engine.h"
#include "core/linearization/recording/cuda_graph.h"
#include "core/runtime/error.h"

namespace tc {

void refuseFused(const Point& point) {
  throw Error("ERR_UNSUPPORTED_OP",
              "the fused engine cannot run this model here: " + fusedObstacle(point));
}

Engine findEngine(const std::string& name) {
  if (name == "auto") return Engine::kAuto;
  if (name == "fused") return Engine::kFused;
  if (name == "autograd") return Engine::kAutograd;
  throw Error("ERR_INVALID_ARGUMENT",
              "engine should be 'auto', 'fused' or 'autograd', got '" + name + "'");
}

std::unique_ptr<Linearization> linearize(const Point& point, Engine engine, int64_t products) {
  if (engine != Engine::kAutograd) {
    if (auto fused = linearizeFused(point, products)) return fused;
  }
  if (engine == Engine::kFused) refuseFused(point);
  if (auto recorder = cudaGraphs(point.params.device(), products))
    return recorded(std::move(recorder), [&] { return linearizeAutograd(point); });
  return linearizeAutograd(point);
}

}  // namespace tc
