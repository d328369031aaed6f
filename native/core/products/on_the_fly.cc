#include "core/products/on_the_fly.h"

#include <ATen/ops/_make_dual.h>
#include <ATen/ops/_unpack_dual.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/dual_level.h"
#include "core/linearization/autograd.h"
#include "core/linearization/engine.h"
#include "core/linearization/forward_mode.h"
#include "core/linearization/fused.h"
#include "core/linearization/kernels.h"

namespace tc {
namespace {

/// Adds Jᵀ(Jv) of some rows to `sum`.
void accumulate(const Point& point, const std::vector<at::Tensor>& tangents,
                const std::vector<at::Tensor>& inputs, std::vector<at::Tensor>& sum) {
  const DualLevel level;
  std::vector<at::Tensor> leaves = point.program->unflatten(point.params);
  std::vector<at::Tensor> duals;
  for (size_t i = 0; i < leaves.size(); ++i) {
    leaves[i] = leaves[i].detach().requires_grad_();
    duals.push_back(at::_make_dual(leaves[i], tangents[i], level.index()));
  }
  at::Tensor y;
  {
    const DifferentiableKernels kernels(*point.program);
    y = point.program->run(duals, inputs, point.constants);
  }
  const auto [primal, tangent] = at::_unpack_dual(y, level.index());
  if (!tangent.defined() || !primal.requires_grad()) return;  // an output that no parameter reaches
  // The saved activations still carry their tangents; a backward pass that looked at them would
  // differentiate itself.
  const c10::AutoFwGradMode plain(false);
  const auto gradients =
      torch::autograd::grad({primal}, leaves, {tangent.detach()}, /*retain_graph=*/false,
                            /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < sum.size(); ++i) {
    if (gradients[i].defined()) sum[i].add_(gradients[i]);
  }
}

}  // namespace

at::Tensor matvecOnTheFly(const Point& point, const at::Tensor& v, Engine engine, int64_t chunkSize,
                          const StopToken& stop) {
  at::Tensor result = at::zeros_like(point.params);
  if (engine != Engine::kAutograd && addFusedMatvec(point, v, result, stop)) return result;
  if (engine == Engine::kFused) refuseFused(point);
  std::vector<at::Tensor> sum = point.program->unflatten(result);
  const std::vector<at::Tensor> tangents = point.program->unflatten(v);
  bool forwardMode = forwardModeAgrees(*point.program);
  forEachChunk(point.batch(), chunkSize, stop, [&](int64_t begin, int64_t end) {
    const std::vector<at::Tensor> inputs = rows(point.inputs, begin, end);
    if (forwardMode) {
      try {
        accumulate(point, tangents, inputs, sum);
        return;
      } catch (const c10::NotImplementedError&) {  // an operator without it, found before any sum
        forwardMode = false;
      }
    }
    result.add_(
        linearizeAutograd({point.program, point.params, inputs, point.constants})->matvec(v));
  });
  return result;
}

}  // namespace tc
