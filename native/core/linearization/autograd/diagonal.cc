#include "core/linearization/autograd/diagonal.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <atomic>

#include "core/linearization/autograd/kept_graph.h"
#include "core/linearization/autograd/per_sample_jacobian.h"
#include "core/linearization/autograd/row_graph.h"
#include "core/linearization/rows.h"
#include "core/linearization/rows_on_cores.h"
#include "core/program/program.h"

namespace tc {
namespace {

/// What factors of C are made at once: each of the backward passes had better take many rows.
constexpr int64_t kFactorBytes = int64_t{256} << 20;

/// Adds what rows [begin, end) contribute; false where there are more vectors than outputs.
bool addRows(const Point& point, const at::Tensor& y, int64_t begin, int64_t end,
             const RowFactorsOf& factors, const at::Tensor& sum) {
  const RowFactors some = factors.make(begin, end);
  if (some.vectors.size(0) > some.vectors.size(2)) return false;
  const auto& parameters = point.program->parameters();
  RowGraph::Sources sources;
  for (size_t i = 0; i < parameters.size(); ++i) sources.parameters.push_back(i);
  RowGraph graph(point, begin, end, sources, /*together=*/true);
  auto shape = y.sizes().vec();
  shape[0] = end - begin;
  for (int64_t k = 0; k < some.vectors.size(0); ++k) {
    StopScope::poll();
    const auto gradients = graph.gradients(some.vectors[k].reshape(shape));
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (!gradients[i].defined()) continue;
      const at::Tensor squares = gradients[i].reshape({end - begin, -1}).square();
      sum.narrow(0, parameters[i].offset, parameters[i].length)
          .add_(at::mv(squares.t(), some.weights[k]));
    }
  }
  return true;
}

}  // namespace

std::optional<at::Tensor> diagonalByGradients(const Point& point, const at::Tensor& y,
                                              const RowFactorsOf& factors, const StopToken& stop) {
  if (fixedBatch(point) > 0) return std::nullopt;
  const int64_t bytes = c10::multiply_integers(y.sizes().slice(1)) * y.element_size();
  if (factors.fitting(RowFactorsOf::kMostBytes, 1, bytes) < 1) return std::nullopt;
  const RowsOnCores cores(point);
  const int64_t fitting =
      factors.fitting(kFactorBytes / static_cast<int64_t>(cores.size()), 1, bytes);
  const int64_t rows = std::clamp<int64_t>(fitting, 1, rowsInVmap(point));
  std::atomic<bool> fewer = true;
  at::Tensor sum;
  try {
    sum = cores.sum(stop, [&](size_t i) {
      at::Tensor own = at::zeros_like(point.params);
      forEachChunk(cores.end(i) - cores.begin(i), rows, stop, [&](int64_t begin, int64_t end) {
        if (fewer && !addRows(point, y, cores.begin(i) + begin, cores.begin(i) + end, factors, own))
          fewer = false;
      });
      return own;
    });
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error&) {
    // libtorch has no error of its own for an operator that vmap does not know; any other failure
    // comes back from rows of J.
    return std::nullopt;
  }
  return fewer ? std::optional(sum) : std::nullopt;
}

}  // namespace tc
