#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include <atomic>
#include <utility>

#include "core/kernels/processor.h"
#include "core/linearization/autograd/autograd.h"
#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/flat_gradient.h"
#include "core/linearization/autograd/kept_graph.h"
#include "core/linearization/autograd/maps/linearizer.h"
#include "core/linearization/autograd/per_sample_jacobian.h"
#include "core/linearization/autograd/tangent_program.h"
#include "core/linearization/once.h"
#include "core/linearization/rows.h"
#include "core/linearization/rows_on_cores.h"
#include "core/profiler/stage.h"
#include "core/runtime/sum.h"

namespace tc {
namespace {

/// Jᵀ(Jv), [P], by one forward pass in which each operator is linearized, applied to the tangents
/// and forgotten, and one backward pass. Throws c10::NotImplementedError for an operator without
/// forward mode.
at::Tensor productAtOnce(const Point& point, std::vector<at::Tensor> tangents) {
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
  const auto output = static_cast<size_t>(point.program->output());
  if (!y.requires_grad() || output >= tangents.size() || !tangents[output].defined())
    return at::zeros_like(point.params);  // an output that no parameter reaches
  const profiling::Stage stage("torch_curvature::transposed");
  makeInterruptible({edgeOf(y)});
  FlatGradient gradient(leaves, point.params.numel(), point.params.options());
  return gradient.filled(torch::autograd::grad({y}, leaves, {tangents[output]},
                                               /*retain_graph=*/false,
                                               /*create_graph=*/false, /*allow_unused=*/true));
}

/// A forward pass with the graph that leads back to the parameters.
struct ForwardGraph {
  std::vector<at::Tensor> leaves;
  at::Tensor y;

  ForwardGraph() = default;
  explicit ForwardGraph(const Point& point) : leaves(leavesAt(point)) {
    const profiling::Stage stage("torch_curvature::forward");
    const at::AutoGradMode gradients(true);
    const DifferentiableKernels kernels(*point.program);
    // Where that is faster, matrices are multiplied, forwards and backwards, by our kernels.
    Linearizer linearizer;
    Program::Caller caller;
    if (fused::isWideAmd()) {
      caller = [&](const Program::Node& node, torch::jit::Stack& stack) {
        return linearizer.call(node, stack);
      };
    }
    y = point.program->run(leaves, point.inputs, point.constants, {}, caller);
    requireDifferentiable(y, point.batch());
  }

  /// Jᵀu, [P], which uses the graph up.
  at::Tensor pull(const Point& point, const at::Tensor& u) const {
    if (!y.requires_grad()) return at::zeros_like(point.params);
    const profiling::Stage stage("torch_curvature::transposed");
    FlatGradient gradient(leaves, point.params.numel(), point.params.options());
    return gradient.filled(gradientOnce(y, leaves, u));
  }
};

class AutogradOnce final : public Once {
 public:
  AutogradOnce(const Point& point, int64_t chunkSize) : Once(point), chunkSize_(chunkSize) {}

  at::Tensor matvec(const at::Tensor& v, const StopToken& stop) override {
    Sum sum;
    const std::vector<at::Tensor> tangents = point().program->unflatten(v);
    const int64_t chunk = rowsAtOnce(point(), chunkSize_, stop);
    forEachChunk(point().batch(), chunk, stop, [&](int64_t begin, int64_t end) {
      const RowsOnCores cores(withRows(point(), begin, end));
      sum.add(cores.sum(stop, [&](size_t i) { return product(cores.part(i), v, tangents, stop); }));
    });
    return sum.totalLike(v);
  }

  /// By a graph of the forward pass alone, which no tangents go through.
  at::Tensor pullback(const CotangentOf& cotangent, const StopToken& stop) override {
    const RowsOnCores cores(point());
    std::vector<ForwardGraph> graphs(cores.size());
    const at::Tensor u = cotangent(cores.joined(stop, [&](size_t i) {
      graphs[i] = ForwardGraph(cores.part(i));
      return graphs[i].y.detach();
    }));
    return cores.sum(stop, [&](size_t i) { return graphs[i].pull(point(), cores.rowsOf(u, i)); });
  }

  void jacobian(int64_t begin, int64_t end, const at::Tensor& out, const StopToken& stop) override {
    perSampleJacobian(point(), begin, end, out, stop);
  }

 protected:
  std::unique_ptr<Linearization> keep(const StopToken& stop) const override {
    return linearizeAutograd(point(), stop);
  }

 private:
  /// Jᵀ(J v) of some rows.
  at::Tensor product(const Point& part, const at::Tensor& v,
                     const std::vector<at::Tensor>& tangents, const StopToken& stop) {
    if (forwardMode_) {
      try {
        return productAtOnce(part, tangents);
      } catch (const c10::NotImplementedError&) {  // an operator without it
        forwardMode_ = false;
      }
    }
    const auto linearization = linearizeAutograd(part, stop);
    requireDifferentiable(linearization->output(), part.batch());
    return linearization->matvec(v, stop);
  }

  int64_t chunkSize_;
  std::atomic<bool> forwardMode_ = true;  ///< until an operator was found without it
};

}  // namespace

std::unique_ptr<Linearization> linearizeAutogradOnce(const Point& point, int64_t chunkSize) {
  return std::make_unique<AutogradOnce>(point, chunkSize);
}

}  // namespace tc
