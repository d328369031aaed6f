#include "core/linearization/chunked.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <string>

#include "core/device.h"
#include "core/error.h"
#include "core/profiler/stage.h"

namespace tc {
namespace {

/// Throws where the first rows come out otherwise with more rows beside them, as from a mean over
/// the batch: a sum over chunks of rows would depend on how they are cut. The tolerance is wide, as
/// kernels for other sizes round otherwise and a model may amplify that.
void requireIndependentRows(const at::Tensor& few, const at::Tensor& more) {
  const at::Tensor same = more.narrow(0, 0, few.size(0));
  const at::Tensor scale = same.abs().max();
  const at::Tensor apart = (same - few).abs().max();
  if ((apart > scale * 0.01).item<bool>()) {  // false for NaN
    throw Error("ERR_UNSUPPORTED_OP",
                "the rows of the model's output depend on one another: the first " +
                    std::to_string(few.size(0)) +
                    " change when the batch has more rows, so it cannot be cut in chunks");
  }
}

}  // namespace

int64_t memoryBudget(const Point& point, const ChunkOptions& options) {
  return options.memoryBudget > 0 ? options.memoryBudget
                                  : availableMemory(point.params.device()) / 2;
}

int64_t probeRows(const Point& point) { return std::min<int64_t>(8, point.batch()); }

int64_t chunkRows(const Point& point, const ChunkOptions& options, int64_t bytesPerRow) {
  const int64_t batch = point.batch();
  if (options.chunkSize > 0) return std::min(options.chunkSize, batch);
  // Setting a chunk up takes about as much again as it keeps.
  const int64_t fitting = memoryBudget(point, options) / std::max<int64_t>(1, 2 * bytesPerRow);
  if (fitting >= batch) return batch;
  // Several smaller chunks: most are then kept, and what is made again in each product is small.
  return std::max<int64_t>(fitting / 4, 1);
}

ChunkedLinearization::ChunkedLinearization(Point point, const ChunkOptions& options,
                                           const StopToken& stop)
    : point_(std::move(point)) {
  const profiling::Stage stage("torch_curvature::linearize",
                               {point_.params, point_.inputs.front()});
  const int64_t batch = point_.batch();
  if (batch == 0) {
    const c10::NoGradGuard noGradients;
    output_ = point_.program->run(point_.program->unflatten(point_.params), point_.inputs,
                                  point_.constants);
    return;
  }
  const auto make = [this, options](int64_t begin, int64_t end) {
    Point part = point_;
    if (begin > 0 || end < point_.batch()) part.inputs = rows(point_.inputs, begin, end);
    return linearize(part, options.engine, options.products);
  };
  const auto probe = make(0, probeRows(point_));
  probe->jvp(at::zeros_like(point_.params));
  engine_ = probe->engine();
  stage.describes(parameters(), batch, engine_);
  const int64_t chunk = chunkRows(point_, options, probe->bytes() / probeRows(point_));
  chunks_ = std::make_unique<Chunks<Linearization>>(
      batch, chunk, memoryBudget(point_, options), make, stop,
      [&](Linearization& part, int64_t begin, int64_t end) {
        const at::Tensor& y = part.output();
        if (y.dim() == 0 || y.size(0) != end - begin) {
          throw Error("ERR_SHAPE_MISMATCH",
                      "the first axis of the model's output should be the batch");
        }
        if (begin == 0 && end > probeRows(point_) && y.numel() > 0)
          requireIndependentRows(probe->output(), y);
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

at::Tensor ChunkedLinearization::jvp(const at::Tensor& v, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::jvp", {v});
  stage.describes(parameters(), batch(), engine_);
  at::Tensor result;
  forEach(stop, [&](Linearization& part, int64_t begin, int64_t end) {
    const at::Tensor tangent = part.jvp(v);
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
  at::Tensor sum;
  forEach(stop, [&](Linearization& part, int64_t begin, int64_t end) {
    const at::Tensor gradient = part.vjp(u.narrow(0, begin, end - begin));
    sum = sum.defined() ? sum.add_(gradient) : gradient;
  });
  return sum.defined() ? sum : at::zeros_like(point_.params);
}

at::Tensor ChunkedLinearization::matvec(const at::Tensor& v, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::matvec", {v});
  stage.describes(parameters(), batch(), engine_);
  at::Tensor sum;
  forEach(stop, [&](Linearization& part, int64_t, int64_t) {
    const at::Tensor product = part.matvec(v);
    sum = sum.defined() ? sum.add_(product) : product;
  });
  return sum.defined() ? sum : at::zeros_like(point_.params);
}

int64_t ChunkedLinearization::bytes() const {
  return (chunks_ ? chunks_->bytes() : 0) + static_cast<int64_t>(output_.nbytes());
}

}  // namespace tc
