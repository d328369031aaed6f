#include "core/operators/jacobian.h"

#include <ATen/ops/empty.h>

#include <utility>
#include <vector>

#include "core/linearization/row_work.h"

#include "core/operators/request.h"

namespace tc {
namespace {

class Jacobian : public LinearOperator {
 public:
  Jacobian(LinearizationPtr linearization, RowWeights weights)
      : LinearOperator(linearization->output().numel(), linearization->parameters(),
                       linearization->point().params.options()),
        linearization_(std::move(linearization)),
        weights_(std::move(weights)) {}

  bool symmetric() const override { return false; }
  const char* engine() const override { return linearization_->engine(); }
  std::vector<int64_t> outputShape() const override {
    return linearization_->output().sizes().vec();
  }
  int64_t bytes() const override { return linearization_->bytes(); }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    const at::Tensor u = linearization_->jvp(v, stop);
    return weights_.timesRoot(weights_.subtractMean(u)).reshape({-1});
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    const at::Tensor weighted = weights_.timesRoot(u.view(linearization_->output().sizes()));
    return linearization_->vjp(weights_.subtractMeanTransposed(weighted), stop);
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    const bool plain = !weights_.weighted() && !weights_.centered();
    if (!plain || rows() == 0 || !hasSeparateRows(linearization_->point()))
      return LinearOperator::makeDense(stop);
    at::Tensor dense = at::empty({rows(), cols()}, options());
    linearization_->jacobian(0, linearization_->batch(), dense, stop);
    return dense;
  }

 private:
  LinearizationPtr linearization_;
  RowWeights weights_;
};

}  // namespace

OperatorPtr jacobian(LinearizationPtr linearization, RowWeights weights) {
  return std::make_shared<Jacobian>(std::move(linearization), std::move(weights));
}

namespace {

OperatorPtr makeJacobian(const OperatorRequest& request, const StopToken& stop) {
  RowWeights weights = request.rowWeights();
  return jacobian(request.linearization(stop), std::move(weights));
}

const Rows<OperatorKind> kRows(
    operatorKinds(),
    {{"jacobian", {"torch_curvature::jacobian_operator", makeJacobian, /*centers=*/true}}});

}  // namespace

}  // namespace tc
