#include "core/operators/kfac/row_graphs.h"

#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <utility>

#include "core/linearization/row_work.h"
#include "core/linearization/rows.h"
#include "core/program/program.h"

namespace tc {
namespace {

/// Graphs of the rows of a chunk: of all of them, or where an operator is unknown to vmap, of one
/// after another.
class RowGraphs {
 public:
  RowGraphs(const Point& point, RowGraph::Sources sources)
      : point_(point), sources_(std::move(sources)) {}

  /// y are the outputs of rows from `begin` on.
  void forEach(const at::Tensor& y, int64_t begin, const StopToken& stop, const UseGraph& body) {
    const int64_t end = begin + y.size(0);
    if (y.size(0) > 1 && !tried_) {
      together_ = worksTogether(y, begin);
      tried_ = true;
    }
    if (together_ && y.size(0) > 1) {
      RowGraph graph(point_, begin, end, sources_, /*together=*/true);
      body(graph, y, begin);
      return;
    }
    for (int64_t row = begin; row < end; ++row) {
      stop.poll();
      RowGraph graph(point_, row, row + 1, sources_, /*together=*/false);
      body(graph, y.narrow(0, row - begin, 1), row);
    }
  }

 private:
  /// libtorch has no error of its own for an operator that vmap does not know.
  bool worksTogether(const at::Tensor& y, int64_t begin) const {
    try {
      RowGraph graph(point_, begin, begin + 2, sources_, /*together=*/true);
      graph.gradients(at::zeros_like(y.narrow(0, 0, 2), at::MemoryFormat::Contiguous));
      return true;
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const c10::Error&) {
      return false;
    }
  }

  const Point& point_;
  RowGraph::Sources sources_;
  bool together_ = true;
  bool tried_ = false;
};

}  // namespace

void forEachGraph(const Point& point, const RowGraph::Sources& sources,
                  const OutputGradients& gradients, int64_t chunkSize, int64_t most,
                  const StopToken& stop, const UseGraph& body) {
  if (point.batch() == 0) return;
  const StopScope scope(stop);
  const int64_t wanted = chunkSize > 0 ? chunkSize : rowsWithinWork(point);
  const int64_t hessians = gradients.rowsAtOnce(outputLike(point));
  const int64_t rows = std::max<int64_t>(1, std::min({wanted, most, hessians, kVmapRows}));
  RowGraphs graphs(point, sources);
  forEachChunk(point.batch(), rows, stop, [&](int64_t begin, int64_t end) {
    at::Tensor y;
    {
      const c10::NoGradGuard noGradients;
      y = point.program->run(point.program->unflatten(point.params), tc::rows(point, begin, end),
                             point.constants);
      requireDifferentiable(y, end - begin);
    }
    graphs.forEach(y, begin, stop, body);
  });
}

}  // namespace tc
