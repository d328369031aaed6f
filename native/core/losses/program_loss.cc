#include "core/losses/program_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <string>
#include <utility>

#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/kept_graph.h"
#include "core/linearization/rows.h"
#include "core/program/point.h"
#include "core/program/refused_call.h"
#include "core/runtime/error.h"
#include "core/runtime/reason.h"
#include "core/runtime/stop.h"

namespace tc {
namespace {

/// Rows that the program is tried on before anything large is computed.
constexpr int64_t kTriedRows = 13;

/// That the rows of a program's losses were seen to be independent.
struct SeparateRows {};

class Called {
 public:
  Called(LossProgram called, std::string name)
      : program_(std::move(called.program)),
        params_(std::move(called.params)),
        shapes_(std::move(called.shapes)),
        name_(std::move(name)) {}

  bool given() const { return program_ != nullptr; }
  const Program& program() const { return *program_; }

  /// The point at these inputs, on their device.
  Point at(const at::Tensor& y, const at::Tensor& other) const {
    Point point{program_, params_, {y}, {}};
    if (program_->inputCount() == 2) point.inputs.push_back(other);
    return placed(std::move(point), y.device());
  }
  at::Tensor run(const at::Tensor& y, const at::Tensor& other) const {
    const Point point = at(y, other);
    return program_->run(program_->unflatten(point.params), point.inputs, point.constants);
  }

  /// Throws Error unless the program takes such inputs, as far as its export tells.
  void check(const at::Tensor& y, const at::Tensor& other, const char* second) const {
    if (program_->fixedBatch()) {
      throw Error("ERR_SHAPE_MISMATCH",
                  name_ + " was exported for a batch of " +
                      std::to_string(*program_->fixedBatch()) +
                      " rows alone: export it with dynamic_shapes that leave the first axis free");
    }
    if (params_.scalar_type() != y.scalar_type())
      throw Error("ERR_DTYPE_MISMATCH",
                  name_ + "'s parameters should have the precision of params");
    const int64_t inputs = program_->inputCount();
    if (inputs > 2) {
      throw Error("ERR_INVALID_ARGUMENT", name_ + " should take the outputs and " + second +
                                              ", it takes " + std::to_string(inputs) + " inputs");
    }
    if (inputs == 2 && !other.defined())
      throw Error("ERR_INVALID_ARGUMENT", "the problem needs a target for its loss");
    checkShape(0, y, "outputs");
    if (inputs == 2) checkShape(1, other, second);
  }

 private:
  void checkShape(size_t input, const at::Tensor& tensor, const std::string& what) const {
    if (input >= shapes_.size()) return;
    const auto& expected = shapes_[input];
    bool fits = static_cast<int64_t>(expected.size()) == tensor.dim();
    for (size_t axis = 0; fits && axis < expected.size(); ++axis)
      fits = expected[axis] < 0 || expected[axis] == tensor.size(static_cast<int64_t>(axis));
    if (fits) return;
    std::string sizes;
    for (const int64_t size : expected)
      sizes += (sizes.empty() ? "" : ", ") + (size < 0 ? "any" : std::to_string(size));
    throw Error("ERR_SHAPE_MISMATCH", name_ + " was exported for " + what + " of the shape [" +
                                          sizes + "], they are " + describeShape(tensor.sizes()));
  }

  std::shared_ptr<const Program> program_;
  at::Tensor params_;
  std::vector<std::vector<int64_t>> shapes_;
  std::string name_;
};

class ProgramLoss : public Loss {
 public:
  ProgramLoss(LossProgram loss, LossProgram sampler)
      : loss_(std::move(loss), "the loss"), sampler_(std::move(sampler), "the sampler") {}

  void check(const at::Tensor& y, const at::Tensor& target) const override {
    const at::Tensor given = converted(target);
    if (given.defined() && (given.dim() == 0 || given.size(0) != y.size(0))) {
      throw Error("ERR_SHAPE_MISMATCH", "target should have one row for each of the " +
                                            std::to_string(y.size(0)) + " of the outputs, got " +
                                            describeShape(given.sizes()));
    }
    loss_.check(y, given, "the target");
    if (loss_.program().inputCount() == 1 && target.defined())
      throw Error("ERR_INVALID_ARGUMENT", "the loss takes the outputs alone: leave the target out");
    if (y.size(0) > 0) tryRows(y, given);
  }
  double divisor(const at::Tensor& y, const at::Tensor&) const override {
    return static_cast<double>(y.size(0));
  }
  std::optional<int64_t> datumAxis(const at::Tensor&) const override { return std::nullopt; }
  bool needsTarget() const override { return loss_.program().inputCount() == 2; }
  std::string obstacle(LossMatrix matrix) const override {
    return matrix == LossMatrix::kFisher && !sampler_.given()
               ? "fisher draws targets from the distribution whose negative log-likelihood the "
                 "loss "
                 "is: give loss: { model, sampler }, where the sampler is a model of the outputs "
                 "and "
                 "of uniform numbers of their shape whose result is a target; or take gaussNewton "
                 "or empiricalFisher"
               : "";
  }

  at::Tensor rowValues(const at::Tensor& y, const at::Tensor& target) const override {
    const c10::NoGradGuard noGradients;
    return values(y, target);
  }
  at::Tensor gradient(const at::Tensor& y, const at::Tensor& target) const override {
    if (c10::GradMode::is_enabled() && y.requires_grad()) return slope(y, target);
    return slope(leafAt(y), target).detach();
  }
  at::Tensor hessianProduct(const at::Tensor& y, const at::Tensor& target,
                            const at::Tensor& u) const override {
    const at::Tensor leaf = leafAt(y);
    const KeptGraph graph({slope(leaf, target)}, {leaf});
    if (const std::string missing = graph.missingDerivative(); !missing.empty())
      throw Error("ERR_UNSUPPORTED_OP", "the loss has no Hessian: the " + missing);
    const at::Tensor product = graph.pull({u}).front();
    return product.defined() ? product : at::zeros_like(u);
  }
  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor& target, const Draws& draws,
                             int64_t sample) const override {
    // 0, half a step up: a sampler may take its inverse or its logarithm.
    const double least = y.scalar_type() == at::kDouble ? 0x1p-54 : 0x1p-25;
    const at::Tensor uniform =
        draws.uniform(y.sizes(), sample, y.scalar_type()).clamp_min(least).to(y.device());
    sampler_.check(y, uniform, "uniform numbers of their shape");
    const at::Tensor drawn = [&] {
      const c10::NoGradGuard noGradients;
      return sampler_.run(y, uniform);
    }();
    if (target.defined() && drawn.sizes() != target.sizes()) {
      throw Error("ERR_SHAPE_MISMATCH", "the sampler should give targets of the shape " +
                                            describeShape(target.sizes()) + ", got " +
                                            describeShape(drawn.sizes()));
    }
    return gradient(y, drawn);
  }

 private:
  /// Class indices as PyTorch's operators take them, and bytes as the truth values that the program
  /// was exported for.
  at::Tensor converted(const at::Tensor& target) const {
    if (!target.defined()) return target;
    const auto& ports = loss_.program().inputs();
    const bool truth = ports.size() == 2 && ports[1].dtype == at::kBool;
    if (truth && target.scalar_type() == at::kByte) return target.ne(0);
    return target.scalar_type() == at::kInt ? target.to(at::kLong) : target;
  }
  static at::Tensor leafAt(const at::Tensor& y) { return y.detach().requires_grad_(); }

  /// The loss of each row, [N].
  at::Tensor values(const at::Tensor& y, const at::Tensor& target) const {
    const at::Tensor values = loss_.run(y, converted(target));
    if (values.dim() == 0 || values.size(0) != y.size(0) || values.numel() != y.size(0)) {
      throw Error("ERR_SHAPE_MISMATCH",
                  "the loss should give one number for each of the " + std::to_string(y.size(0)) +
                      " rows, it gave the shape " + describeShape(values.sizes()) +
                      ": add up each row's, as in (y - target).square().sum(1)");
    }
    return values.reshape({-1});
  }

  /// ∂(Σ loss)/∂y, differentiable by y, which requires gradients.
  at::Tensor slope(const at::Tensor& y, const at::Tensor& target) const {
    const c10::AutoGradMode gradients(true);
    const DifferentiableKernels kernels(loss_.program());
    const at::Tensor each = values(y, target);
    if (!each.requires_grad()) return at::zeros_like(y);
    const at::Tensor result = differentiableGradient(each, {y}, at::ones_like(each)).front();
    return result.defined() ? result : at::zeros_like(y);
  }

  /// Throws Error where the program does not run, or mixes rows: what it makes of some is then
  /// not what it makes of them beside others.
  void tryRows(const at::Tensor& y, const at::Tensor& target) const {
    const int64_t rows = std::min(kTriedRows, y.size(0));
    auto shape = y.sizes().vec();
    shape[0] = rows;
    const at::Tensor some = at::rand(shape, y.options());
    const at::Tensor given = target.defined() ? target.narrow(0, 0, rows) : target;
    try {
      rowValues(some, given);
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const c10::Error& error) {
      if (refusesNumbers(error)) throw;
      throw Error("ERR_SHAPE_MISMATCH",
                  "the loss does not take these outputs and targets: " + reasonOf(error));
    }
    if (rows < 2) return;
    const Program& program = loss_.program();
    Findings::Sizes sizes(shape.begin() + 1, shape.end());
    program.findings().get<SeparateRows>(sizes, [&] {
      try {
        requireIndependentRows(loss_.at(some, given), StopToken());
      } catch (const Error& error) {
        if (error.code() != "ERR_UNSUPPORTED_OP") throw;
        throw Error("ERR_UNSUPPORTED_OP",
                    "the rows of the loss depend on one another, as from a mean over the batch: it "
                    "should give each row's loss, and `reduction` says how they are added up");
      }
      return SeparateRows{};
    });
  }

  Called loss_;
  Called sampler_;
};

}  // namespace

LossPtr programLoss(LossProgram loss, LossProgram sampler) {
  return std::make_shared<const ProgramLoss>(std::move(loss), std::move(sampler));
}

}  // namespace tc
