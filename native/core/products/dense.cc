#include "core/products/dense.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <utility>

#include "core/linearization/fused/gram.h"
#include "core/linearization/rows.h"
#include "core/profiler/stage.h"
#include "core/program/program.h"
#include "core/runtime/bytes.h"
#include "core/runtime/device.h"
#include "core/runtime/sum.h"

namespace tc {
namespace {

/// Columns of F that one matrix product computes.
constexpr int64_t kGramBlock = 512;

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

/// Rows of J that are added to F at once, or more: of a few, each would write all of F for little
/// work, and be rounded for itself.
constexpr int64_t kGramRows = 256;

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

/// Elements of a matrix that are written or multiplied between two looks at the stop token.
constexpr int64_t kElementsAtOnce = int64_t{1} << 26;

/// Calls `body(rows of the matrix)` for some rows after the other.
template <typename Body>
void forRows(const at::Tensor& matrix, const StopToken& stop, Body&& body) {
  const int64_t rows = std::max<int64_t>(1, kElementsAtOnce / std::max<int64_t>(1, matrix.size(1)));
  forEachChunk(matrix.size(0), rows, stop,
               [&](int64_t begin, int64_t end) { body(matrix.narrow(0, begin, end - begin)); });
}

/// F += JᵀJ for the upper triangle.
void addGram(const at::Tensor& jacobian, const at::Tensor& gram, const StopToken& stop) {
  if (!gram.is_cpu()) return addGramBlocks(jacobian, gram, stop);
  fused::addGramUpper(jacobian, gram, stop);
}

}  // namespace

at::Tensor matvecDense(const Point& point, const at::Tensor& v, DenseStrategy strategy,
                       Engine engine, int64_t chunkSize, const StopToken& stop) {
  const profiling::Stage whole("torch_curvature::matvec_dense", {point.params, v, point.x()});
  const int64_t batch = point.batch();
  if (batch == 0) return at::zeros_like(point.params);
  requireIndependentRows(point, stop);
  const int64_t columns = point.program->parameterCount();
  const int64_t outputs = outputsPerSample(point);
  const int64_t chunk = chunkSize > 0 ? std::min(wholeUnits(point, chunkSize), batch) : batch;
  const auto itemSize = static_cast<int64_t>(point.params.element_size());
  const bool onCpu = point.params.device().is_cpu();
  const bool gramian = strategy == DenseStrategy::kGram;
  const int64_t held =
      gramian ? std::max(chunk, std::min(batch, kGramRows / std::max<int64_t>(1, outputs))) : chunk;
  requireMemory(point.params.device(),
                sumOf(countOf(held, outputs, columns, itemSize),
                      gramian ? countOf(columns, columns, itemSize) : 0),
                gramian ? "the dense product (J and F = JᵀJ)" : "the dense product (J)");

  const auto linearization = linearizeOnce(point, engine, chunk);
  whole.describes(columns, batch, linearization->engine());

  // Made within the stages that fill them, which a profile's table names for their memory.
  at::Tensor storage;
  at::Tensor gram;
  Sum result;
  int64_t filled = 0;
  forEachChunk(batch, chunk, stop, [&](int64_t begin, int64_t end) {
    const int64_t rows = (end - begin) * outputs;
    at::Tensor jacobian;
    {
      const profiling::Stage stage("torch_curvature::jacobian", {point.params});
      if (!storage.defined())
        storage = at::empty({held * outputs, columns}, point.params.options());
      jacobian = storage.narrow(0, filled, rows);
      linearization->jacobian(begin, end, jacobian, stop);
    }
    if (gramian) {
      filled += rows;
      if (end < batch && filled + chunk * outputs <= held * outputs) return;
      jacobian = storage.narrow(0, 0, std::exchange(filled, 0));
      const profiling::Stage stage("torch_curvature::gram", {jacobian});
      // Elsewhere libtorch's own operators count.
      if (onCpu)
        stage.counts(2 * jacobian.size(0) * columns * columns,
                     jacobian.size(0) * columns * (columns + 1));
      if (!gram.defined()) {
        gram = at::empty({columns, columns}, point.params.options());
        forRows(gram, stop, [](const at::Tensor& some) { some.zero_(); });
      }
      addGram(jacobian, gram, stop);
    } else {
      const profiling::Stage stage("torch_curvature::last_product", {jacobian, v});
      const at::Tensor part = at::zeros_like(point.params);
      forRows(jacobian, stop, [&](const at::Tensor& some) { part.addmv_(some.t(), some.mv(v)); });
      result.add(part);
    }
  });
  if (!gramian) return result.total();
  const profiling::Stage stage("torch_curvature::last_product", {gram, v});
  if (onCpu) stage.counts(2 * columns * columns);
  if (onCpu) return fused::symmetricMatvec(gram, v, stop);
  mirrorUpper(gram);
  return gram.mv(v);
}

}  // namespace tc
