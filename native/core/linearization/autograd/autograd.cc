#include "core/linearization/autograd/autograd.h"

#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <optional>
#include <utility>

#include "core/linearization/autograd/diagonal.h"
#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/flat_gradient.h"
#include "core/linearization/autograd/kept_graph.h"
#include "core/linearization/autograd/kept_storage.h"
#include "core/linearization/autograd/maps/linearizer.h"
#include "core/linearization/autograd/per_sample_jacobian.h"
#include "core/linearization/autograd/tangent_program.h"
#include "core/profiler/stage.h"
#include "core/program/program.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

class AutogradLinearization : public Linearization {
 public:
  AutogradLinearization(const Point& point, const StopToken& stop)
      : point_(point), leaves_(leavesAt(point)) {
    const StopScope scope(stop);
    const profiling::Stage stage("torch_curvature::forward");
    std::vector<at::Tensor> existing = point.inputs;
    existing.push_back(point.params);
    const KeptStorage kept(point.params.device(), existing);
    const at::AutoGradMode gradients(true);
    const DifferentiableKernels kernels(*point.program);
    TangentProgram tangents;
    Linearizer linearizer;
    bool known = true;  // every operator has a derivative in forward mode
    at::Tensor y = point.program->run(
        leaves_, point.inputs, point.constants,
        [&](const Program::Node& node, const torch::jit::Stack& arguments,
            const std::vector<at::Tensor>& values) {
          try {
            Pushforward push = linearizer.takePushforward();
            if (known) tangents.record(node, arguments, values, std::move(push));
          } catch (const c10::NotImplementedError&) {
            known = false;
          }
        },
        [&](const Program::Node& node, torch::jit::Stack& stack) {
          return linearizer.call(node, stack);
        });
    output_ = y.detach();
    if (y.requires_grad()) {
      backward_ = KeptGraph({y}, leaves_);
      if (known) {
        tangents_ = std::move(tangents);
      } else {
        forward_ = forwardGraph();
      }
    } else {  // no parameter reaches the output
      backward_ = KeptGraph({}, leaves_);
      forward_ = KeptGraph({}, {output_});
    }
    y.reset();
    bytes_ = kept.bytes();
  }

  const at::Tensor& output() const override { return output_; }

  at::Tensor jvp(const at::Tensor& v, const StopToken& stop) override {
    const StopScope scope(stop);
    const profiling::Stage stage("torch_curvature::tangent");
    const at::Tensor tangent = push(point_.program->unflatten(v));
    if (!tangent.defined()) return at::zeros_like(output_);
    // Views in the program can hand v itself through; results are tensors of their own.
    return tangent.is_alias_of(v) ? tangent.clone(at::MemoryFormat::Contiguous)
                                  : tangent.contiguous();
  }

  at::Tensor vjp(const at::Tensor& u, const StopToken& stop) override {
    const StopScope scope(stop);
    const profiling::Stage stage("torch_curvature::transposed");
    FlatGradient gradient(leaves_, point_.params.numel(), u.options());
    return gradient.filled(backward_.pull({u}));
  }

  std::optional<at::Tensor> diagonal(const RowFactorsOf& factors, const StopToken& stop) override {
    return diagonalByGradients(point_, output_, factors, stop);
  }

  void jacobian(int64_t begin, int64_t end, const at::Tensor& out, const StopToken& stop) override {
    perSampleJacobian(point_, begin, end, out, stop);
  }

  int64_t bytes() const override { return bytes_; }

 private:
  /// By a forward pass of libtorch's operators alone, whose graph can be differentiated again.
  KeptGraph forwardGraph() const {
    const at::AutoGradMode gradients(true);
    const DifferentiableKernels kernels(*point_.program);
    const at::Tensor y = point_.program->run(leaves_, point_.inputs, point_.constants);
    const at::Tensor cotangent = at::zeros_like(output_).requires_grad_();
    KeptGraph forward(differentiableGradient(y, leaves_, cotangent), {cotangent});
    if (const std::string missing = forward.missingDerivative(); !missing.empty())
      throw Error("ERR_UNSUPPORTED_OP", "the model cannot be linearized: the " + missing);
    return forward;
  }

  at::Tensor push(const std::vector<at::Tensor>& tangents) {
    if (tangents_) {
      try {
        return tangents_->push(tangents, point_.program->output());
      } catch (const c10::NotImplementedError&) {  // some operator lacks forward mode
        tangents_.reset();
      }
    }
    // Once more where the product that was to make it failed.
    if (!forward_) forward_ = forwardGraph();
    return forward_->pull(tangents).front();
  }

  Point point_;
  std::vector<at::Tensor> leaves_;
  at::Tensor output_;
  KeptGraph backward_;                      ///< u ↦ Jᵀu
  std::optional<TangentProgram> tangents_;  ///< v ↦ J v, or where an operator has no forward mode
  std::optional<KeptGraph> forward_;        ///< the same as the backward pass of Jᵀ
  int64_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<Linearization> linearizeAutograd(const Point& point, const StopToken& stop) {
  RowsOnCores rows(point);
  if (rows.size() > 1) return linearizeAutogradOnCores(std::move(rows), stop);
  return std::make_unique<AutogradLinearization>(point, stop);
}

}  // namespace tc
