#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <utility>

#include "core/operators/jacobian.h"
#include "core/operators/request.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// Bytes up to which the Jacobians themselves are made for a dense trace kernel.
constexpr int64_t kJacobianBytes = int64_t{1} << 30;

/// A Bᵀ, with A and B those of one model for two batches, or for one.
class Ntk : public LinearOperator {
 public:
  Ntk(OperatorPtr a, OperatorPtr b)
      : LinearOperator(a->rows(), b->rows(), a->options()), a_(std::move(a)), b_(std::move(b)) {}

  bool symmetric() const override { return a_ == b_; }
  const char* engine() const override { return a_->engine(); }
  std::vector<int64_t> outputShape() const override { return a_->outputShape(); }
  int64_t bytes() const override { return a_->bytes() + (symmetric() ? 0 : b_->bytes()); }

 protected:
  at::Tensor apply(const at::Tensor& u, const StopToken& stop) const override {
    return a_->matvec(b_->rmatvec(u, stop), stop);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return b_->matvec(a_->rmatvec(u, stop), stop);
  }

 private:
  OperatorPtr a_;
  OperatorPtr b_;
};

/// K_nm = Σ_o ⟨A_no, B_mo⟩ over the outputs o of a row, [N, M].
class TraceKernel : public LinearOperator {
 public:
  TraceKernel(OperatorPtr a, OperatorPtr b)
      : LinearOperator(a->outputShape().front(), b->outputShape().front(), a->options()),
        outputs_(c10::multiply_integers(c10::IntArrayRef(a->outputShape()).slice(1))),
        a_(std::move(a)),
        b_(std::move(b)) {}

  bool symmetric() const override { return a_ == b_; }
  const char* engine() const override { return a_->engine(); }
  std::vector<int64_t> outputShape() const override { return {rows()}; }
  int64_t bytes() const override { return a_->bytes() + (symmetric() ? 0 : b_->bytes()); }

 protected:
  at::Tensor apply(const at::Tensor& u, const StopToken& stop) const override {
    return product(*a_, *b_, u, stop);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return product(*b_, *a_, u, stop);
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    const auto numbers =
        static_cast<double>(a_->rows() + b_->rows()) * static_cast<double>(a_->cols());
    if (numbers * static_cast<double>(options().dtype().itemsize()) > kJacobianBytes)
      return LinearOperator::makeDense(stop);
    const at::Tensor left = a_->toDense(stop).view({rows(), -1});
    const at::Tensor right = symmetric() ? left : b_->toDense(stop).view({cols(), -1});
    return at::matmul(left, right.t());
  }

 private:
  at::Tensor product(const LinearOperator& left, const LinearOperator& right, const at::Tensor& u,
                     const StopToken& stop) const {
    at::Tensor sum = at::zeros({left.rows() / std::max<int64_t>(1, outputs_)}, options());
    const at::Tensor cotangent = at::zeros({u.numel(), outputs_}, options());
    for (int64_t output = 0; output < outputs_; ++output) {
      cotangent.zero_().select(1, output).copy_(u);
      const at::Tensor tangent = left.matvec(right.rmatvec(cotangent.view({-1}), stop), stop);
      sum.add_(tangent.view({-1, outputs_}).select(1, output));
    }
    return sum;
  }

  int64_t outputs_;
  OperatorPtr a_;
  OperatorPtr b_;
};

OperatorPtr make(const OperatorRequest& request, const StopToken& stop) {
  RowWeights weights = request.rowWeights();
  const bool two = !request.others.empty();
  if (two && (weights.weighted() || weights.centered())) {
    throw Error("ERR_INVALID_ARGUMENT",
                "weights and center are of the rows of one batch: without x2, or by "
                "jacobian(a).multiply(jacobian(b).T), each with its own");
  }
  const auto jacobianOf = [&](LinearizationPtr linearization) {
    return jacobian(std::move(linearization), weights);
  };
  const OperatorPtr a = jacobianOf(request.linearization(stop));
  const OperatorPtr b = two ? jacobianOf(request.otherLinearization(stop)) : a;
  if (request.arguments.flag("trace")) return std::make_shared<TraceKernel>(a, b);
  return std::make_shared<Ntk>(a, b);
}

const Rows<OperatorKind> kRows(operatorKinds(),
                               {{"ntk", {"torch_curvature::ntk", make, /*centers=*/true}}});

}  // namespace

OperatorPtr ntk(LinearizationPtr linearization, RowWeights weights, const StopToken& stop) {
  linearization->requireIndependentRows(stop);
  return tangentKernel(jacobian(std::move(linearization), std::move(weights)), false);
}

OperatorPtr tangentKernel(const OperatorPtr& a, bool trace) {
  OperatorPtr kernel;
  if (trace) {
    kernel = std::make_shared<TraceKernel>(a, a);
  } else {
    kernel = std::make_shared<Ntk>(a, a);
  }
  kernel->setLabel("torch_curvature::ntk");
  return kernel;
}

}  // namespace tc
