#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include <utility>

#include "core/kernels/processor.h"
#include "core/linearization/autograd/autograd.h"
#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/kept_graph.h"
#include "core/linearization/autograd/maps/linearizer.h"
#include "core/linearization/autograd/per_sample_jacobian.h"
#include "core/linearization/autograd/tangent_program.h"
#include "core/linearization/once.h"
#include "core/linearization/rows.h"
#include "core/profiler/stage.h"

namespace tc {
namespace {

/// Adds Jᵀ(Jv) of some rows to `sum`: one forward pass in which each operator is linearized,
/// applied to the tangents and forgotten, and one backward pass. Throws c10::NotImplementedError,
/// before it adds anything, for an operator without forward mode.
void accumulate(const Point& point, std::vector<at::Tensor> tangents,
                std::vector<at::Tensor>& sum) {
  const std::vector<at::Tensor> leaves = leavesAt(point);
  const DifferentiableKernels kernels(*point.program);
  at::Tensor y;
  Linearizer linearizer;
  {
    const profiling::Stage stage("torch_curvature::forward_and_tangent");
    y = point.program->run(
        leaves, point.inputs, point.constants,
        [&](const Program::Node& node, const torch::jit::Stack& arguments,
            const std::vector<at::Tensor>& values) {
          if (const auto step =
                  TangentStep::at(node, arguments, values, linearizer.takePushforward()))
            step->run(tangents);
        },
        [&](const Program::Node& node, torch::jit::Stack& stack) {
          return linearizer.call(node, stack);
        });
  }
  requireDifferentiable(y, point.batch());
  const profiling::Stage stage("torch_curvature::transposed");
  const auto output = static_cast<size_t>(point.program->output());
  if (!y.requires_grad() || output >= tangents.size() || !tangents[output].defined())
    return;  // an output that no parameter reaches
  makeInterruptible({edgeOf(y)});
  const auto gradients =
      torch::autograd::grad({y}, leaves, {tangents[output]}, /*retain_graph=*/false,
                            /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < sum.size(); ++i) {
    if (gradients[i].defined()) sum[i].add_(gradients[i]);
  }
}

class AutogradOnce final : public Once {
 public:
  AutogradOnce(const Point& point, int64_t chunkSize) : Once(point), chunkSize_(chunkSize) {}

  at::Tensor matvec(const at::Tensor& v, const StopToken& stop) override {
    const StopScope scope(stop);
    at::Tensor result = at::zeros_like(point().params);
    std::vector<at::Tensor> sum = point().program->unflatten(result);
    const std::vector<at::Tensor> tangents = point().program->unflatten(v);
    bool forwardMode = true;
    const int64_t chunk = rowsAtOnce(point(), chunkSize_, stop);
    forEachChunk(point().batch(), chunk, stop, [&](int64_t begin, int64_t end) {
      Point part = point();
      part.inputs = rows(part, begin, end);
      if (forwardMode) {
        try {
          accumulate(part, tangents, sum);
          return;
        } catch (const c10::NotImplementedError&) {  // an operator without it, found before any sum
          forwardMode = false;
        }
      }
      const auto linearization = linearizeAutograd(part, stop);
      requireDifferentiable(linearization->output(), end - begin);
      result.add_(linearization->matvec(v, stop));
    });
    return result;
  }

  /// By a graph of the forward pass alone, which no tangents go through.
  at::Tensor pullback(const CotangentOf& cotangent, const StopToken& stop) override {
    const StopScope scope(stop);
    const std::vector<at::Tensor> leaves = leavesAt(point());
    const at::Tensor y = [&] {
      const profiling::Stage stage("torch_curvature::forward");
      const at::AutoGradMode gradients(true);
      const DifferentiableKernels kernels(*point().program);
      // Where that is faster, matrices are multiplied, forwards and backwards, by our kernels.
      Linearizer linearizer;
      Program::Caller caller;
      if (fused::isWideAmd()) {
        caller = [&](const Program::Node& node, torch::jit::Stack& stack) {
          return linearizer.call(node, stack);
        };
      }
      return point().program->run(leaves, point().inputs, point().constants, {}, caller);
    }();
    requireDifferentiable(y, point().batch());
    const at::Tensor u = cotangent(y.detach());
    if (!y.requires_grad()) return at::zeros_like(point().params);
    const profiling::Stage stage("torch_curvature::transposed");
    return flattened(gradientOnce(y, leaves, u), leaves, point().params.numel(),
                     point().params.options());
  }

  void jacobian(int64_t begin, int64_t end, const at::Tensor& out, const StopToken& stop) override {
    perSampleJacobian(point(), begin, end, out, stop);
  }

 protected:
  std::unique_ptr<Linearization> keep(const StopToken& stop) const override {
    return linearizeAutograd(point(), stop);
  }

 private:
  int64_t chunkSize_;
};

}  // namespace

std::unique_ptr<Linearization> linearizeAutogradOnce(const Point& point, int64_t chunkSize) {
  return std::make_unique<AutogradOnce>(point, chunkSize);
}

}  // namespace tc
