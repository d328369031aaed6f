#include "core/products/dense.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "core/linearization/engine.h"
#include "core/linearization/fused/engine.h"
#include "core/linearization/fused/gram.h"
#include "core/linearization/rows.h"
#include "core/products/jacobian.h"
#include "core/profiler/stage.h"
#include "core/program/program.h"
#include "core/runtime/device.h"

namespace tc {
namespace {

/// Rows whose gradients are taken in one vmap: enough to fill the cores, few enough to stay in
/// cache.
constexpr int64_t kVmapRows = 512;
/// Columns of F that one matrix product computes.
constexpr int64_t kGramBlock = 512;

/// a·b·…, or −1 where that overflows.
template <typename... Factors>
int64_t product(int64_t first, Factors... rest) {
  int64_t result = first;
  bool overflow = false;
  ((overflow = overflow || __builtin_mul_overflow(result, static_cast<int64_t>(rest), &result)),
   ...);
  return overflow ? -1 : result;
}

int64_t sum(int64_t a, int64_t b) {
  int64_t result = 0;
  return a < 0 || b < 0 || __builtin_add_overflow(a, b, &result) ? -1 : result;
}

/// F += JᵀJ for the upper triangle, by blocks of columns: half the work of a general product, for
/// devices that libtorch alone serves.
void addGramBlocks(const at::Tensor& jacobian, const at::Tensor& gram, const StopToken& stop) {
  const int64_t columns = gram.size(0);
  for (int64_t begin = 0; begin < columns; begin += kGramBlock) {
    stop.poll();
    const int64_t width = std::min(kGramBlock, columns - begin);
    const at::Tensor block = jacobian.narrow(1, begin, width);
    gram.narrow(1, begin, width)
        .narrow(0, 0, begin + width)
        .addmm_(jacobian.narrow(1, 0, begin + width).t(), block);
  }
}

/// Copies the upper triangle into the lower one.
void mirrorUpper(const at::Tensor& gram) {
  const int64_t columns = gram.size(0);
  for (int64_t begin = 0; begin < columns; begin += kGramBlock) {
    const int64_t width = std::min(kGramBlock, columns - begin);
    const int64_t after = begin + width;
    gram.narrow(0, after, columns - after)
        .narrow(1, begin, width)
        .copy_(gram.narrow(0, begin, width).narrow(1, after, columns - after).t());
  }
}

/// Writes J of rows [begin, end) by the fused engine where it can, by vmap elsewhere; returns the
/// engine's name.
const char* writeJacobian(const Point& point, Engine engine, int64_t begin, int64_t end,
                          const at::Tensor& out, const StopToken& stop) {
  if (engine != Engine::kAutograd && fusedJacobian(point, begin, end, out)) return "fused";
  if (engine == Engine::kFused) refuseFused(point);
  const int64_t outputs = out.size(0) / (end - begin);
  const int64_t rows = wholeUnits(point, kVmapRows);
  forEachChunk(end - begin, rows, stop, [&](int64_t first, int64_t last) {
    perSampleJacobian(point, begin + first, begin + last,
                      out.narrow(0, first * outputs, (last - first) * outputs));
  });
  return "autograd";
}

/// F += JᵀJ for the upper triangle.
void addGram(const at::Tensor& jacobian, const at::Tensor& gram, const StopToken& stop) {
  if (!gram.is_cpu()) return addGramBlocks(jacobian, gram, stop);
  fused::addGramUpper(jacobian, gram, stop);
}

}  // namespace

at::Tensor matvecDense(const Point& point, const at::Tensor& v, DenseStrategy strategy,
                       Engine engine, int64_t chunkSize, const StopToken& stop) {
  const profiling::Stage whole("torch_curvature::matvec_dense",
                               {point.params, v, point.inputs.front()});
  const int64_t batch = point.batch();
  if (batch == 0) return at::zeros_like(point.params);
  requireIndependentRows(point, stop);
  const int64_t columns = point.program->parameterCount();
  const int64_t outputs = outputsPerSample(point);
  const int64_t chunk = chunkSize > 0 ? std::min(wholeUnits(point, chunkSize), batch) : batch;
  const auto itemSize = static_cast<int64_t>(point.params.element_size());
  const bool onCpu = point.params.device().is_cpu();
  const bool gramian = strategy == DenseStrategy::kGram;
  requireMemory(point.params.device(),
                sum(product(chunk, outputs, columns, itemSize),
                    gramian ? product(columns, columns, itemSize) : 0),
                gramian ? "the dense product (J and F = JᵀJ)" : "the dense product (J)");

  // Made within the stages that fill them, which a profile's table names for their memory.
  at::Tensor storage;
  at::Tensor gram;
  const at::Tensor result = at::zeros_like(point.params);
  forEachChunk(batch, chunk, stop, [&](int64_t begin, int64_t end) {
    const int64_t rows = (end - begin) * outputs;
    at::Tensor jacobian;
    {
      const profiling::Stage stage("torch_curvature::jacobian", {point.params});
      if (!storage.defined())
        storage = at::empty({chunk * outputs, columns}, point.params.options());
      jacobian = storage.narrow(0, 0, rows);
      whole.describes(columns, batch, writeJacobian(point, engine, begin, end, jacobian, stop));
    }
    if (gramian) {
      const profiling::Stage stage("torch_curvature::gram", {jacobian});
      // Elsewhere libtorch's own operators count.
      if (onCpu) stage.counts(2 * rows * columns * columns, rows * columns * (columns + 1));
      if (!gram.defined()) gram = at::zeros({columns, columns}, point.params.options());
      addGram(jacobian, gram, stop);
    } else {
      const profiling::Stage stage("torch_curvature::last_product", {jacobian, v});
      result.addmv_(jacobian.t(), jacobian.mv(v));
    }
  });
  if (!gramian) return result;
  const profiling::Stage stage("torch_curvature::last_product", {gram, v});
  if (onCpu) stage.counts(2 * columns * columns);
  if (onCpu) return fused::symmetricMatvec(gram, v);
  mirrorUpper(gram);
  return gram.mv(v);
}

}  // namespace tc
