#include "core/operators/hessian.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <optional>
#include <utility>

#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/kept_graph.h"
#include "core/linearization/autograd/kept_storage.h"
#include "core/linearization/rows.h"
#include "core/linearization/rows_on_cores.h"
#include "core/operators/request.h"
#include "core/program/program.h"
#include "core/runtime/error.h"
#include "core/runtime/sum.h"

namespace tc {
namespace {

at::Tensor runModel(const Point& point, const std::vector<at::Tensor>& leaves, int64_t begin,
                    int64_t end) {
  const DifferentiableKernels kernels(*point.program);
  const at::Tensor y = point.program->run(leaves, rows(point, begin, end), point.constants);
  requireDifferentiable(y, end - begin);
  return y;
}

/// Of some rows that one core takes, or all of them: the gradient of their part of the loss, kept
/// with its graph.
class GradientGraph {
 public:
  GradientGraph(const Point& point, const Objective& objective, const RowWeights& weights,
                int64_t begin, int64_t end) {
    std::vector<at::Tensor> existing = point.inputs;
    existing.push_back(point.params);
    const KeptStorage kept(point.params.device(), existing);
    const at::AutoGradMode gradients(true);
    leaves_ = leavesAt(point);
    graph_ = KeptGraph({}, leaves_);
    const at::Tensor y = runModel(point, leaves_, begin, end);
    if (y.requires_grad() && y.numel() > 0) {
      const Objective part = objective.rows(begin, end);
      const at::Tensor cotangent =
          weights.times(part.loss->gradient(y, part.target) * part.scale, begin, end);
      graph_ = KeptGraph(differentiableGradient(y, leaves_, cotangent), leaves_);
    }
    if (const std::string missing = graph_.missingDerivative(); !missing.empty())
      throw Error("ERR_UNSUPPORTED_OP", "the model has no Hessian: the " + missing);
    bytes_ = kept.bytes();
  }

  at::Tensor matvec(const std::vector<at::Tensor>& v, int64_t length) const {
    return flattened(graph_.pull(v), leaves_, length, leaves_.front().options());
  }
  int64_t bytes() const { return bytes_; }

 private:
  std::vector<at::Tensor> leaves_;
  KeptGraph graph_;
  int64_t bytes_ = 0;
};

/// The same of a chunk, of whose rows each core has its own where that pays.
class ChunkOfGradients {
 public:
  ChunkOfGradients(const Point& point, const Objective& objective, const RowWeights& weights,
                   int64_t begin, int64_t end, const StopToken& stop)
      : cores_(withRows(point, begin, end)), graphs_(cores_.size()) {
    cores_.each(stop, [&](size_t i) {
      graphs_[i].emplace(point, objective, weights, begin + cores_.begin(i), begin + cores_.end(i));
    });
  }

  at::Tensor matvec(const std::vector<at::Tensor>& v, int64_t length, const StopToken& stop) const {
    return cores_.sum(stop, [&](size_t i) { return graphs_[i]->matvec(v, length); });
  }
  int64_t bytes() const {
    int64_t sum = 0;
    for (const auto& graph : graphs_) sum += graph ? graph->bytes() : 0;
    return sum;
  }

 private:
  RowsOnCores cores_;
  std::vector<std::optional<GradientGraph>> graphs_;
};

class Hessian : public LinearOperator {
 public:
  Hessian(Point point, const ChunkOptions& options, Objective objective, RowWeights weights,
          const StopToken& stop)
      : LinearOperator(point.params.numel(), point.params.numel(), point.params.options()),
        point_(std::move(point)),
        objective_(std::move(objective)),
        weights_(std::move(weights)) {
    if (point_.batch() == 0 || cols() == 0) return;
    const auto make = [this](int64_t begin, int64_t end, const StopToken& token) {
      return std::make_unique<ChunkOfGradients>(point_, objective_, weights_, begin, end, token);
    };
    const auto probe = [&](int64_t rows) {
      const auto part = make(0, rows, stop);
      part->matvec(point_.program->unflatten(at::zeros_like(point_.params)), cols(), stop);
      return part->bytes();
    };
    ChunkOptions here = options;
    here.engine = Engine::kAutograd;
    const int64_t chunk = chunkRows(point_, here, probe, stop);
    if (chunk < point_.batch()) requireIndependentSecondDerivatives(point_, stop);
    chunks_ = std::make_unique<Chunks<ChunkOfGradients>>(
        point_.batch(), chunk, memoryBudget(point_, options), make, stop,
        [](const ChunkOfGradients&, int64_t, int64_t) {});
  }

  bool symmetric() const override { return true; }
  const char* engine() const override { return "autograd"; }
  OperatorPtr acrossProcesses(const OperatorPtr& self, const SumOverProcesses& sum) const override {
    return sum(self);
  }
  int64_t bytes() const override { return chunks_ ? chunks_->bytes() : 0; }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    Sum sum;
    const auto tangents = point_.program->unflatten(v);
    if (chunks_) {
      chunks_->forEach(stop, [&](const ChunkOfGradients& part, int64_t, int64_t) {
        sum.add(part.matvec(tangents, cols(), stop));
      });
    }
    return sum.totalLike(v);
  }

 private:
  Point point_;
  Objective objective_;
  RowWeights weights_;
  std::unique_ptr<Chunks<ChunkOfGradients>>
      chunks_;  ///< null where there are no rows or parameters
};

}  // namespace

OperatorPtr hessian(Point point, const ChunkOptions& options, Objective objective,
                    RowWeights weights, const StopToken& stop) {
  return std::make_shared<Hessian>(std::move(point), options, std::move(objective),
                                   std::move(weights), stop);
}

namespace {

OperatorPtr make(const OperatorRequest& request, const StopToken& stop) {
  const Objective objective = request.objective();
  OperatorPtr op = hessian(request.point, request.options, objective, request.rowWeights(), stop);
  op->setShare({objective.meanDivisor(), {}});
  return op;
}

const Rows<OperatorKind> kRows(operatorKinds(),
                               {{"hessian",
                                 {"torch_curvature::hessian", make, /*centers=*/false,
                                  /*matrix=*/std::nullopt, /*regularized=*/true,
                                  /*byAutograd=*/true}}});

}  // namespace

}  // namespace tc
