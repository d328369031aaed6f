#include "core/linearization/engine.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <utility>

#include "core/linearization/autograd/autograd.h"
#include "core/linearization/finite.h"
#include "core/linearization/fused/engine.h"
#include "core/linearization/recording/cuda_graph.h"
#include "core/runtime/error.h"

namespace tc {

Engine findEngine(const std::string& name) {
  if (name == "auto") return Engine::kAuto;
  if (name == "fused") return Engine::kFused;
  if (name == "autograd") return Engine::kAutograd;
  throw Error("ERR_INVALID_ARGUMENT",
              "engine should be 'auto', 'fused' or 'autograd', got '" + name + "'");
}

Engine chooseEngine(const Point& point, Engine wanted) {
  if (wanted == Engine::kAutograd) return wanted;
  const std::string obstacle = fusedObstacle(point);
  if (obstacle.empty()) return Engine::kFused;
  if (wanted == Engine::kAuto) return Engine::kAutograd;
  throw Error("ERR_UNSUPPORTED_OP", "the fused engine cannot run this model here: " + obstacle);
}

at::Tensor Linearization::jvps(const at::Tensor& vectors, const StopToken& stop) {
  auto shape = output().sizes().vec();
  shape.insert(shape.begin(), vectors.size(0));
  at::Tensor results = at::empty(shape, output().options());
  for (int64_t i = 0; i < vectors.size(0); ++i) results[i].copy_(jvp(vectors[i], stop));
  return results;
}

at::Tensor Linearization::vjps(const at::Tensor& cotangents, const StopToken& stop) {
  at::Tensor results;
  const int64_t count = cotangents.size(0);
  for (int64_t i = 0; i < count; ++i) {
    const at::Tensor product = vjp(cotangents[i], stop);
    if (!results.defined()) results = at::empty({count, product.numel()}, product.options());
    results[i].copy_(product);
  }
  return results;
}

at::Tensor Linearization::matmat(const at::Tensor& vectors, const StopToken& stop) {
  at::Tensor results = at::empty_like(vectors, at::MemoryFormat::Contiguous);
  for (int64_t i = 0; i < vectors.size(0); ++i) results[i].copy_(matvec(vectors[i], stop));
  return results;
}

std::unique_ptr<Linearization> linearize(const Point& point, Engine engine, int64_t products,
                                         const StopToken& stop) {
  if (chooseEngine(point, engine) == Engine::kFused)
    return whereFinite(point, linearizeFused(point, products, stop));
  if (auto recorder = cudaGraphs(point.params.device(), products))
    return recorded(std::move(recorder), [&] { return linearizeAutograd(point, stop); });
  return linearizeAutograd(point, stop);
}

std::unique_ptr<Linearization> linearizeOnce(const Point& point, Engine engine, int64_t chunkSize) {
  return chooseEngine(point, engine) == Engine::kFused
             ? whereFinite(point, linearizeFusedOnce(point))
             : linearizeAutogradOnce(point, chunkSize);
}

}  // namespace tc
