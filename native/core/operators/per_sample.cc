#include "core/operators/per_sample.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/linearization/engine.h"
#include "core/linearization/rows.h"
#include "core/operators/request.h"
#include "core/products/forward.h"

namespace tc {
namespace {

/// Bytes of Jacobians that are made at once on the way to the gradients of some rows, and the
/// outputs of a row up to which that takes less than a pass backwards for each row.
constexpr int64_t kJacobianBytes = int64_t{64} << 20;
constexpr int64_t kFewOutputs = 32;

class PerSampleGradients : public LinearOperator {
 public:
  PerSampleGradients(LinearizationPtr linearization, at::Tensor cotangents)
      : LinearOperator(linearization->batch(), linearization->parameters(),
                       linearization->point().params.options()),
        linearization_(std::move(linearization)),
        cotangents_(std::move(cotangents)) {}

  bool symmetric() const override { return false; }
  const char* engine() const override { return linearization_->engine(); }
  std::vector<int64_t> outputShape() const override { return {rows()}; }
  int64_t bytes() const override {
    return linearization_->bytes() + static_cast<int64_t>(cotangents_.nbytes());
  }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return (linearization_->jvp(v, stop) * cotangents_).reshape({rows(), outputs()}).sum(1);
  }
  at::Tensor applyTransposed(const at::Tensor& w, const StopToken& stop) const override {
    std::vector<int64_t> shape(static_cast<size_t>(cotangents_.dim()), 1);
    shape[0] = rows();
    return linearization_->vjp(cotangents_ * w.view(shape), stop);
  }
  at::Tensor makeDense(const StopToken& stop) const override { return makeRows(0, rows(), stop); }
  at::Tensor makeRows(int64_t begin, int64_t end, const StopToken& stop) const override {
    at::Tensor gradients = at::empty({end - begin, cols()}, options());
    if (end == begin || cols() == 0) return gradients;
    // Rows that the program runs together are made together, also those that are not asked for.
    const int64_t unit = unitRows(linearization_->point());
    const int64_t rowBytes = outputs() * cols() * cotangents_.element_size();
    const int64_t fitting = kJacobianBytes / std::max<int64_t>(1, rowBytes) / unit * unit;
    const bool byJacobian = outputs() <= kFewOutputs && fitting > 0;
    const int64_t first = begin / unit * unit;
    const int64_t last = std::min(rows(), (end + unit - 1) / unit * unit);
    forEachChunk(last - first, byJacobian ? fitting : unit, stop, [&](int64_t from, int64_t to) {
      const at::Tensor made = byJacobian ? fromJacobian(first + from, first + to, stop)
                                         : oneByOne(first + from, first + to, stop);
      const int64_t low = std::max(begin, first + from);
      const int64_t high = std::min(end, first + to);
      gradients.narrow(0, low - begin, high - low)
          .copy_(made.narrow(0, low - first - from, high - low));
    });
    return gradients;
  }

 private:
  int64_t outputs() const { return rows() == 0 ? 0 : cotangents_.numel() / rows(); }

  at::Tensor fromJacobian(int64_t begin, int64_t end, const StopToken& stop) const {
    const int64_t n = end - begin;
    const at::Tensor jacobian = at::empty({n * outputs(), cols()}, options());
    linearization_->jacobian(begin, end, jacobian, stop);
    const at::Tensor u = cotangents_.narrow(0, begin, n).reshape({n, 1, outputs()});
    return at::matmul(u, jacobian.view({n, outputs(), cols()})).squeeze(1);
  }

  /// A pass backwards for each row, through those that the program runs together.
  at::Tensor oneByOne(int64_t begin, int64_t end, const StopToken& stop) const {
    Point part = linearization_->point();
    part.inputs = tc::rows(part, begin, end);
    const Engine engine = findEngine(linearization_->engine());
    const auto linearization = linearize(part, engine, /*products=*/1, stop);
    const at::Tensor gradients = at::empty({end - begin, cols()}, options());
    for (int64_t row = begin; row < end; ++row) {
      const at::Tensor u = at::zeros_like(cotangents_.narrow(0, begin, end - begin));
      u[row - begin].copy_(cotangents_[row]);
      gradients[row - begin].copy_(linearization->vjp(u, stop));
    }
    return gradients;
  }

  LinearizationPtr linearization_;
  at::Tensor cotangents_;  ///< w scale ∂ℓ/∂y, of the shape of y
};

}  // namespace

OperatorPtr perSampleGradients(LinearizationPtr linearization, const Objective& objective,
                               const RowWeights& weights, const StopToken& stop) {
  linearization->requireIndependentRows(stop);
  const at::Tensor& y = linearization->output();
  at::Tensor cotangents =
      weights.times(objective.loss->gradient(y, objective.target) * objective.scale, 0, y.size(0));
  return std::make_shared<PerSampleGradients>(std::move(linearization), cotangents.contiguous());
}

at::Tensor perSampleLosses(const Point& point, int64_t chunkSize, const Objective& objective,
                           const RowWeights& weights, const StopToken& stop) {
  requireIndependentRows(point, stop);
  if (point.batch() == 0) return at::empty({0}, point.params.options());
  const at::Tensor y = forwardPass(point, chunkSize, stop);
  const at::Tensor values = objective.loss->rowValues(y, objective.target);
  return weights.times(values, 0, y.size(0)) * objective.valueScale;
}

namespace {

OperatorPtr make(const OperatorRequest& request, const StopToken& stop) {
  const Objective checked = request.objective();  // before the forward pass
  const RowWeights weights = request.rowWeights();
  OperatorPtr op = perSampleGradients(request.linearization(stop), checked, weights, stop);
  op->setShare({checked.meanDivisor(), {}});
  return op;
}

const Rows<OperatorKind> kRows(operatorKinds(),
                               {{"perSampleGradients",
                                 {"torch_curvature::per_sample_gradients", make}}});

}  // namespace

}  // namespace tc
