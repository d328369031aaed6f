#include "core/linearization/chunked.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>

#include <algorithm>

#include "core/linearization/engine.h"
#include "core/linearization/rows.h"
#include "core/profiler/stage.h"
#include "core/runtime/device.h"
#include "core/runtime/sum.h"

namespace tc {

int64_t memoryBudget(const Point& point, const ChunkOptions& options) {
  return options.memoryBudget > 0 ? options.memoryBudget
                                  : availableMemory(point.params.device()) / 2;
}

int64_t chunkRows(const Point& point, const ChunkOptions& options,
                  const std::function<int64_t(int64_t rows)>& probe, const StopToken& stop) {
  const int64_t batch = point.batch();
  const int64_t fixed = fixedBatch(point);
  requireWholeUnits(point);
  const int64_t few = fixed > 0 ? fixed : std::min<int64_t>(8, batch);
  int64_t bytes = 0;
  try {
    bytes = probe(few);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error&) {
    // The model may be one of all its rows together; if not, it fails again with them.
    if (few == batch) throw;
  }
  if (options.chunkSize > 0) return rowsAtOnce(point, options.chunkSize, stop);
  // Setting a chunk up takes about as much again as it keeps.
  const int64_t fitting = memoryBudget(point, options) / std::max<int64_t>(1, 2 * bytes / few);
  const bool tiles = options.engine == Engine::kFused;  // it cuts the batch up itself
  const int64_t working = tiles && fixed == 0 ? batch : rowsAtOnce(point, 0, stop);
  if (fitting >= working) return working;
  // Several smaller chunks: most are then kept, and what is made again in each product is small.
  return rowsAtOnce(point, std::max<int64_t>(fitting / 4, 1), stop);
}

ChunkedLinearization::ChunkedLinearization(Point point, const ChunkOptions& options,
                                           const StopToken& stop)
    : point_(std::move(point)), chosen_(chooseEngine(point_, options.engine)) {
  const profiling::Stage stage("torch_curvature::linearize", {point_.params, point_.x()});
  const int64_t batch = point_.batch();
  if (batch == 0) {
    output_ = emptyOutput(point_);
    return;
  }
  // What the probe made is the first chunk where that has the same rows.
  struct Probed {
    int64_t rows = 0;
    std::unique_ptr<Linearization> made;
  };
  const auto probed = std::make_shared<Probed>();
  const auto make = [this, probed, products = options.products](int64_t begin, int64_t end,
                                                                const StopToken& token) {
    if (begin == 0 && end == probed->rows && probed->made) return std::move(probed->made);
    return linearize(withRows(point_, begin, end), chosen_, products, token);
  };
  const auto probe = [&](int64_t rows) {
    auto part = make(0, rows, stop);
    part->jvp(at::zeros_like(point_.params), stop);
    engine_ = part->engine();
    stage.describes(parameters(), batch, engine_);
    const int64_t bytes = part->bytes();
    *probed = {rows, std::move(part)};
    return bytes;
  };
  ChunkOptions here = options;
  here.engine = chosen_;
  const int64_t chunk = chunkRows(point_, here, probe, stop);
  independent_ = chunk < batch;
  if (chunk != probed->rows) probed->made.reset();
  chunks_ = std::make_unique<Chunks<Linearization>>(
      batch, chunk, memoryBudget(point_, options), make, stop,
      [&](Linearization& part, int64_t begin, int64_t end) {
        const at::Tensor& y = part.output();
        requireDifferentiable(y, end - begin);
        if (end - begin == batch) {
          output_ = y;
          return;
        }
        if (!output_.defined()) {
          auto shape = y.sizes().vec();
          shape[0] = batch;
          output_ = at::empty(shape, y.options());
        }
        output_.narrow(0, begin, end - begin).copy_(y);
      });
}

void ChunkedLinearization::requireIndependentRows(const StopToken& stop) const {
  if (independent_) return;
  tc::requireIndependentRows(point_, stop);
  independent_ = true;
}

at::Tensor ChunkedLinearization::jvp(const at::Tensor& v, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::jvp", {v});
  stage.describes(parameters(), batch(), engine_);
  at::Tensor result;
  forEach(stop, [&](Linearization& part, int64_t begin, int64_t end) {
    const at::Tensor tangent = part.jvp(v, stop);
    if (end - begin == batch()) {
      result = tangent;
      return;
    }
    if (!result.defined()) result = at::empty_like(output_);
    result.narrow(0, begin, end - begin).copy_(tangent);
  });
  return result.defined() ? result : at::zeros_like(output_);
}

at::Tensor ChunkedLinearization::vjp(const at::Tensor& u, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::vjp", {u});
  stage.describes(parameters(), batch(), engine_);
  Sum sum;
  forEach(stop, [&](Linearization& part, int64_t begin, int64_t end) {
    sum.add(part.vjp(u.narrow(0, begin, end - begin), stop));
  });
  return sum.totalLike(point_.params);
}

at::Tensor ChunkedLinearization::matvec(const at::Tensor& v, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::matvec", {v});
  stage.describes(parameters(), batch(), engine_);
  Sum sum;
  forEach(stop, [&](Linearization& part, int64_t, int64_t) { sum.add(part.matvec(v, stop)); });
  return sum.totalLike(point_.params);
}

at::Tensor ChunkedLinearization::matmat(const at::Tensor& vectors, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::matmat", {vectors});
  stage.describes(parameters(), batch(), engine_);
  Sum sum;
  forEach(stop,
          [&](Linearization& part, int64_t, int64_t) { sum.add(part.matmat(vectors, stop)); });
  return sum.totalLike(vectors);
}

void ChunkedLinearization::jacobian(int64_t begin, int64_t end, const at::Tensor& out,
                                    const StopToken& stop) const {
  linearizeOnce(point_, chosen_, 0)->jacobian(begin, end, out, stop);
}

std::optional<at::Tensor> ChunkedLinearization::diagonal(const RowFactorsOf& factors,
                                                         const StopToken& stop) {
  std::optional<Sum> sum(std::in_place);
  forEach(stop, [&](Linearization& part, int64_t begin, int64_t) {
    if (!sum) return;
    const auto ofPart = [&](int64_t first, int64_t last) {
      return factors.make(begin + first, begin + last);
    };
    if (const auto diagonal = part.diagonal({factors.most, ofPart}, stop)) {
      sum->add(*diagonal);
    } else {
      sum.reset();
    }
  });
  return sum ? std::optional(sum->totalLike(point_.params)) : std::nullopt;
}

int64_t ChunkedLinearization::bytes() const {
  return (chunks_ ? chunks_->bytes() : 0) + static_cast<int64_t>(output_.nbytes());
}

}  // namespace tc
