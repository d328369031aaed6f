#include "core/linearization/rows.h"

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <map>
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
  const at::Tensor y = run(point, tc::rows(point, 0, rows));
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

/// Fills in the sizes of the point's inputs for the names in their descriptions; whether they are
/// of the shapes described.
bool takeSizes(const Point& point, std::map<std::string, int64_t>& sizes) {
  const auto& inputs = point.program->inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const at::IntArrayRef given = point.inputs[i].sizes();
    if (given.size() != inputs[i].shape.size()) return false;
    for (size_t axis = 0; axis < given.size(); ++axis) {
      const auto& described = inputs[i].shape[axis];
      const auto* name = std::get_if<std::string>(&described);
      if (name == nullptr && std::get<int64_t>(described) != given[axis]) return false;
      if (name == nullptr) continue;
      const auto [known, added] = sizes.try_emplace(*name, given[axis]);
      if (known->second != given[axis]) return false;
    }
  }
  // What some sizes showed holds for those of the same numbers and any batch.
  if (point.program->outputsSeen() && sizes.size() > 1) return false;
  return sizes.count("...") == 0;
}

/// The shape of the whole batch's output as the program describes it; empty where it does not.
std::vector<int64_t> describedShape(const Point& point) {
  std::map<std::string, int64_t> sizes;
  const auto& result = point.program->result();
  if (!result.hasRows() || !takeSizes(point, sizes)) return {};
  std::vector<int64_t> shape;
  for (const auto& axis : result.shape) {
    const auto* name = std::get_if<std::string>(&axis);
    const auto known = name == nullptr ? sizes.end() : sizes.find(*name);
    if (name != nullptr && known == sizes.end()) return {};
    shape.push_back(name == nullptr ? std::get<int64_t>(axis) : known->second);
  }
  return shape;
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

int64_t fixedBatch(const Point& point) { return point.program->fixedBatch().value_or(0); }

void requireWholeUnits(const Point& point) {
  const int64_t unit = unitRows(point);
  if (point.batch() % unit == 0) return;
  throw Error("ERR_SHAPE_MISMATCH",
              "the model was exported for a batch of " + std::to_string(unit) + " rows, and " +
                  std::to_string(point.batch()) + " rows are no multiple of that");
}

void requireBatchFirst(const at::Tensor& y, int64_t rows) {
  if (y.dim() > 0 && y.size(0) == rows) return;
  throw Error(
      "ERR_SHAPE_MISMATCH",
      "the first axis of the model's output should be the batch: for " + std::to_string(rows) +
          (rows == 1 ? " row" : " rows") + " the output has the shape " + describeShape(y.sizes()) +
          (rows == 1 ? "; squeeze() without an axis drops that of one row, write squeeze(-1)"
                     : ""));
}

void requireDerivatives(const at::Tensor& y) {
  if (y.is_floating_point()) return;
  throw Error("ERR_DTYPE_MISMATCH",
              std::string("the model's result is of the type ") + c10::toString(y.scalar_type()) +
                  ", which has no derivatives; of several results, choose another one: "
                  "Model.load(file, { output: 'name' })");
}

void requireDifferentiable(const at::Tensor& y, int64_t rows) {
  requireBatchFirst(y, rows);
  requireDerivatives(y);
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
  std::vector<int64_t> shape = describedShape(point);
  if (shape.empty()) {
    shape = fixed > 0          ? shapeOf(point, fixed)
            : batch > kFewRows ? shapeFromFew(point)
                               : shapeOf(point, batch);
  }
  shape[0] = batch;
  return at::empty({1}, point.params.options()).expand(shape);
}

int64_t outputsPerSample(const Point& point) { return outputLike(point).numel() / point.batch(); }

at::Tensor emptyOutput(const Point& point) {
  if (fixedBatch(point) == 0) {
    const at::Tensor y = run(point, point.inputs);
    requireBatchFirst(y, 0);
    return y;
  }
  const std::vector<int64_t> shape = describedShape(point);
  if (shape.empty())
    throw Error("ERR_SHAPE_MISMATCH", "of no rows the model's output is not known");
  return at::empty(shape, point.params.options());
}

}  // namespace tc
