#include "core/linearization/rows_on_cores.h"

#include <ATen/ThreadLocalState.h>
#include <ATen/ops/cat.h>

#include <thread>
#include <utility>

#include "core/linearization/row_work.h"
#include "core/linearization/rows.h"
#include "core/profiler/stage.h"
#include "core/runtime/parallel.h"

namespace tc {

RowsOnCores::RowsOnCores(Point point) : point_(std::move(point)), parts_(coresByRows(point_)) {}

RowsOnCores::RowsOnCores(Point point, int64_t parts) : point_(std::move(point)), parts_(parts) {}

Point RowsOnCores::part(size_t index) const { return withRows(point_, begin(index), end(index)); }

void RowsOnCores::each(const StopToken& stop, const std::function<void(size_t part)>& body) const {
  if (parts_ == 1) {
    const StopScope scope(stop);
    return body(0);
  }
  const at::ThreadLocalState state;
  const auto caller = std::this_thread::get_id();
  const auto run = [&](int64_t part) {
    const StopScope scope(stop);
    const profiling::Stage stage("torch_curvature::rows");
    body(static_cast<size_t>(part));
  };
  forkJoin(parts_, [&](int64_t part) {
    if (std::this_thread::get_id() == caller) return run(part);
    const at::ThreadLocalStateGuard guard(state);
    run(part);
  });
}

at::Tensor RowsOnCores::sum(const StopToken& stop,
                            const std::function<at::Tensor(size_t part)>& body) const {
  std::vector<at::Tensor> terms(size());
  each(stop, [&](size_t part) { terms[part] = body(part); });
  for (size_t part = 1; part < terms.size(); ++part) terms[0].add_(terms[part]);
  return terms[0];
}

at::Tensor RowsOnCores::joined(const StopToken& stop,
                               const std::function<at::Tensor(size_t part)>& body) const {
  std::vector<at::Tensor> pieces(size());
  each(stop, [&](size_t part) {
    pieces[part] = body(part);
    requireBatchFirst(pieces[part], end(part) - begin(part));
  });
  return parts_ == 1 ? pieces.front() : at::cat(pieces);
}

}  // namespace tc
