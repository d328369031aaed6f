#pragma once

#include <cstdint>
#include <functional>

#include "core/linearization/autograd/row_graph.h"
#include "core/operators/kfac/output_gradients.h"
#include "core/program/point.h"

namespace tc {

/// Rows that one vmap takes, as for Jacobians of rows.
constexpr int64_t kVmapRows = 512;
/// Multiply-adds between two looks at the stop token.
constexpr int64_t kUninterrupted = int64_t{1} << 28;
/// Bytes of gradients by parameters, of each row, that are made at once.
constexpr int64_t kGradientBytes = int64_t{64} << 20;

/// Is given graphs of rows from `begin` on, with their outputs y.
using UseGraph = std::function<void(RowGraph& graph, const at::Tensor& y, int64_t begin)>;

/// Calls `body` with graphs of all rows, at most `most` at a time; or where an operator is unknown
/// to vmap, of one row after another. `chunkSize` may ask for fewer (0: as many as row_work.h
/// says).
void forEachGraph(const Point& point, const RowGraph::Sources& sources,
                  const OutputGradients& gradients, int64_t chunkSize, int64_t most,
                  const StopToken& stop, const UseGraph& body);

}  // namespace tc
