#include "core/linearization/rows.h"

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/linearization/row_work.h"
#include "core/losses/loss.h"
#include "core/program/program.h"
#include "core/runtime/error.h"
#include "core/runtime/stop.h"

namespace tc {
namespace {

at::Tensor run(const Point& point, const std::vector<at::Tensor>& inputs) {
  const c10::NoGradGuard noGradients;
  return point.program->run(point.program->unflatten(point.params.detach()), inputs,
                            point.constants);
}

/// Rows from which their number is not asked of all of them.
constexpr int64_t kFewRows = 8;

/// The shape of `rows` rows' output; its first axis is `rows`.
std::vector<int64_t> shapeOf(const Point& point, int64_t rows) {
  const at::Tensor y = run(point, tc::rows(point.inputs, 0, rows));
  requireBatchFirst(y, rows);
  return y.sizes().vec();
}

/// The shape of the whole batch's output, from two numbers of rows that agree: with one row alone
/// an axis may be dropped, and the outputs of a row may be as many as there are rows.
std::vector<int64_t> shapeFromFew(const Point& point) {
  try {
    std::vector<int64_t> shape = shapeOf(point, 2);
    std::vector<int64_t> other = shapeOf(point, 3);
    other[0] = 2;
    if (shape == other) return shape;
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::exception&) {  // a model of all the rows together
    StopScope::poll();
  }
  return shapeOf(point, point.batch());
}

/// Batches from which trying whether the rows are independent costs little beside a product.
constexpr int64_t kWorthTrying = 16'384;

bool mayBeCut(const Point& point, const StopToken& stop) {
  if (hasSeparateRows(point)) return true;
  if (point.batch() < kWorthTrying) return false;
  try {
    requireIndependentRows(point, stop);
    return true;
  } catch (const Error& error) {
    if (error.code() != "ERR_UNSUPPORTED_OP") throw;
    return false;
  }
}

/// Rows within the bounds of row_work.h, in parts of about the same size; all of them where they
/// exceed the bounds by little.
int64_t rowsByWork(const Point& point, const StopToken& stop) {
  const int64_t batch = point.batch();
  const int64_t most = rowsWithinWork(point);
  if (batch <= 2 * most || !mayBeCut(point, stop)) return batch;
  const int64_t parts = (batch + most - 1) / most;
  return (batch + parts - 1) / parts;
}

}  // namespace

int64_t fixedBatch(const Point& point) {
  const auto& fixed = point.program->fixedBatch();
  return fixed ? fixed->rows : 0;
}

void requireWholeUnits(const Point& point) {
  const int64_t unit = unitRows(point);
  if (point.batch() % unit == 0) return;
  throw Error("ERR_SHAPE_MISMATCH",
              "the model was exported for a batch of " + std::to_string(unit) + " rows, and " +
                  std::to_string(point.batch()) + " rows are no multiple of that");
}

void requireBatchFirst(const at::Tensor& y, int64_t rows) {
  if (y.dim() > 0 && y.size(0) == rows) return;
  throw Error("ERR_SHAPE_MISMATCH",
              "the first axis of the model's output should be the batch: for " +
                  std::to_string(rows) + (rows == 1 ? " row" : " rows") +
                  " the output has the shape " + describeShape(y.sizes()));
}

int64_t rowsAtOnce(const Point& point, int64_t chunkSize, const StopToken& stop) {
  const int64_t batch = point.batch();
  const int64_t fixed = fixedBatch(point);
  requireWholeUnits(point);
  if (fixed == 0 && chunkSize <= 0) return rowsByWork(point, stop);
  int64_t rows = fixed > 0 ? fixed : chunkSize;
  if (rows > batch) rows = batch;
  if (rows < batch) requireIndependentRows(point, stop);
  return rows;
}

at::Tensor outputLike(const Point& point) {
  const int64_t batch = point.batch();
  if (batch == 0) return emptyOutput(point);
  requireWholeUnits(point);
  const int64_t fixed = fixedBatch(point);
  std::vector<int64_t> shape = fixed > 0          ? shapeOf(point, fixed)
                               : batch > kFewRows ? shapeFromFew(point)
                                                  : shapeOf(point, batch);
  shape[0] = batch;
  return at::empty({1}, point.params.options()).expand(shape);
}

int64_t outputsPerSample(const Point& point) { return outputLike(point).numel() / point.batch(); }

at::Tensor emptyOutput(const Point& point) {
  const auto& fixed = point.program->fixedBatch();
  if (!fixed) {
    const at::Tensor y = run(point, point.inputs);
    requireBatchFirst(y, 0);
    return y;
  }
  std::vector<int64_t> shape{0};
  shape.insert(shape.end(), fixed->rowShape.begin(), fixed->rowShape.end());
  return at::empty(shape, point.params.options());
}

}  // namespace tc
