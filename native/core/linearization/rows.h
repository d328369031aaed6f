#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/program/point.h"
#include "core/runtime/stop.h"

// The batch and its rows: how many the program runs at a time, and where they may be cut apart.

namespace tc {

/// Rows that the point's program runs at a time, no more and no fewer; 0 where any number goes.
int64_t fixedBatch(const Point& point);

/// The smallest number of rows that the program runs: those it was exported for, or one.
inline int64_t unitRows(const Point& point) { return std::max<int64_t>(1, fixedBatch(point)); }

/// `rows` or a few more, so that they can be run by units.
inline int64_t wholeUnits(const Point& point, int64_t rows) {
  const int64_t unit = unitRows(point);
  return (rows + unit - 1) / unit * unit;
}

/// Throws Error ERR_SHAPE_MISMATCH unless the program can run the batch, some rows at a time.
void requireWholeUnits(const Point& point);

/// Throws Error ERR_SHAPE_MISMATCH unless the first axis of the output y of `rows` rows is the
/// batch.
void requireBatchFirst(const at::Tensor& y, int64_t rows);

/// Throws Error ERR_DTYPE_MISMATCH for an output of whole numbers.
void requireDerivatives(const at::Tensor& y);

/// Both, of an output that is to be differentiated.
void requireDifferentiable(const at::Tensor& y, int64_t rows);

/// Rows at a time for a product that libtorch's operators compute and that may add up parts of the
/// batch: `chunkSize`, or those that the program was exported for, whatever `chunkSize` says. For a
/// `chunkSize` of 0 as many as keep the operators short and their values small (row_work.h), where
/// the rows are seen to be independent, and all of them elsewhere. Throws Error ERR_UNSUPPORTED_OP
/// where a `chunkSize` cuts rows apart that depend on one another, and ERR_SHAPE_MISMATCH where the
/// program cannot run so many rows.
int64_t rowsAtOnce(const Point& point, int64_t chunkSize, const StopToken& stop);

/// Throws Error ERR_UNSUPPORTED_OP where the rows of the output depend on one another, so that a
/// row computed beside others is not what it is in the batch. Of a program for a fixed batch, the
/// rows of one such batch are looked at; a single row depends on nothing.
///
/// A program that is known to be a map of single rows (row_work.h) is not tried. Others are, in
/// float64, on up to a dozen rows of the batch: other rows in place of some must leave the rest as
/// they are, bit for bit but for what threads do to sums, and so must their gradient; and the rows
/// computed in parts and one by itself must agree with the rows computed together, at other
/// parameters with their gradients, too, and with the same rows among all rows that are computed at
/// once. That costs some thirty forward passes of those rows, and one of the batch.
void requireIndependentRows(const Point& point, const StopToken& stop);

/// The same of the second derivatives, where rows may depend on one another that do not in their
/// outputs and Jacobians; of rows that are independent in these.
void requireIndependentSecondDerivatives(const Point& point, const StopToken& stop);

/// As `requireIndependentRows` by trying them, whatever is known of the program.
void tryIndependentRows(const Point& point, const StopToken& stop);

/// A tensor of the shape and kind of the whole batch's output, of no memory: what targets are
/// checked against before anything large is computed. Found by running a few rows, or all of them
/// where those do not tell. Throws Error ERR_SHAPE_MISMATCH.
at::Tensor outputLike(const Point& point);

/// Numbers that the model puts out for one row.
int64_t outputsPerSample(const Point& point);

/// The output of no rows.
at::Tensor emptyOutput(const Point& point);

}  // namespace tc
