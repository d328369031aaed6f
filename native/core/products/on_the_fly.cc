#include "core/products/on_the_fly.h"

#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/linearization/autograd/autograd.h"
#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/kept_graph.h"
#include "core/linearization/autograd/tangent_program.h"
#include "core/linearization/engine.h"
#include "core/linearization/fused/engine.h"
#include "core/linearization/rows.h"
#include "core/profiler/stage.h"
#include "core/program/program.h"

namespace tc {
namespace {

/// Adds Jᵀ(Jv) of some rows to `sum`: one forward pass in which each operator is linearised,
/// applied to the tangents and forgotten, and one backward pass. Throws c10::NotImplementedError,
/// before it adds anything, for an operator without forward mode.
void accumulate(const Point& point, std::vector<at::Tensor> tangents,
                std::vector<at::Tensor>& sum) {
  const std::vector<at::Tensor> leaves = leavesAt(point);
  const DifferentiableKernels kernels(*point.program);
  at::Tensor y;
  {
    const profiling::Stage stage("torch_curvature::forward_and_tangent");
    y = point.program->run(leaves, point.inputs, point.constants,
                           [&](const Program::Node& node, const torch::jit::Stack& arguments,
                               const std::vector<at::Tensor>& values) {
                             if (const auto step = TangentStep::at(node, arguments, values))
                               step->run(tangents);
                           });
  }
  requireBatchFirst(y, point.batch());
  const profiling::Stage stage("torch_curvature::transposed");
  const auto output = static_cast<size_t>(point.program->output());
  if (!y.requires_grad() || output >= tangents.size() || !tangents[output].defined())
    return;  // an output that no parameter reaches
  const auto gradients =
      torch::autograd::grad({y}, leaves, {tangents[output]}, /*retain_graph=*/false,
                            /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < sum.size(); ++i) {
    if (gradients[i].defined()) sum[i].add_(gradients[i]);
  }
}

}  // namespace

at::Tensor matvecOnTheFly(const Point& point, const at::Tensor& v, Engine engine, int64_t chunkSize,
                          const StopToken& stop) {
  requireWholeUnits(point);
  const profiling::Stage stage("torch_curvature::matvec_on_the_fly",
                               {point.params, v, point.inputs.front()});
  stage.describes(point.params.numel(), point.batch(), "fused");
  if (engine != Engine::kAutograd) {
    if (const auto product = fusedMatvec(point, v, stop)) return *product;
  }
  stage.describes(point.params.numel(), point.batch(), "autograd");
  if (engine == Engine::kFused) refuseFused(point);
  at::Tensor result = at::zeros_like(point.params);
  std::vector<at::Tensor> sum = point.program->unflatten(result);
  const std::vector<at::Tensor> tangents = point.program->unflatten(v);
  bool forwardMode = true;
  const int64_t chunk = rowsAtOnce(point, chunkSize, stop);
  forEachChunk(point.batch(), chunk, stop, [&](int64_t begin, int64_t end) {
    const Point part{point.program, point.params, rows(point.inputs, begin, end), point.constants};
    if (forwardMode) {
      try {
        accumulate(part, tangents, sum);
        return;
      } catch (const c10::NotImplementedError&) {  // an operator without it, found before any sum
        forwardMode = false;
      }
    }
    const auto linearization = linearizeAutograd(part);
    requireBatchFirst(linearization->output(), end - begin);
    result.add_(linearization->matvec(v));
  });
  return result;
}

}  // namespace tc
