#include "core/operators/l2.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/diag.h>

#include <utility>

#include "core/losses/loss.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

class Regularized : public LinearOperator {
 public:
  Regularized(OperatorPtr a, at::Tensor l2)
      : LinearOperator(a->rows(), a->cols(), a->options()), a_(std::move(a)), l2_(std::move(l2)) {}

  bool symmetric() const override { return a_->symmetric(); }
  const char* engine() const override { return a_->engine(); }
  int64_t bytes() const override { return a_->bytes() + static_cast<int64_t>(l2_.nbytes()); }
  /// The term is no data's: all of them have it once.
  OperatorPtr acrossProcesses(const OperatorPtr&, const SumOverProcesses& sum) const override {
    return regularized(a_->acrossProcesses(a_, sum), l2_);
  }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return a_->matvec(v, stop).addcmul_(l2_, v);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return a_->matmat(vectors, stop).addcmul_(l2_, vectors);
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    at::Tensor dense = a_->toDense(stop);
    dense.diagonal().add_(l2_);
    return dense;
  }
  at::Tensor makeDiagonal(const StopToken& stop) const override {
    return a_->diagonal(stop).add_(l2_);
  }

 private:
  OperatorPtr a_;
  at::Tensor l2_;
};

/// λ on the device of the parameters.
at::Tensor checked(const at::Tensor& l2, int64_t length, const at::TensorOptions& options) {
  if (l2.dim() != 1 || l2.numel() != length)
    throw Error("ERR_SHAPE_MISMATCH", "l2 should have one element for each parameter");
  if (l2.scalar_type() != c10::typeMetaToScalarType(options.dtype()))
    throw Error("ERR_DTYPE_MISMATCH", "l2 should have the precision of the params");
  checkNotNegative(l2, "l2");
  return l2.to(options.device());
}

}  // namespace

OperatorPtr regularized(OperatorPtr a, const at::Tensor& l2) {
  requireSquare(*a, "an L2 term");
  at::Tensor here = checked(l2, a->rows(), a->options());
  return std::make_shared<Regularized>(std::move(a), std::move(here));
}

void addL2(LossGradient& result, const at::Tensor& params, const at::Tensor& l2) {
  const at::Tensor gradient = checked(l2, params.numel(), params.options()) * params;
  result.loss.add_(gradient.dot(params) / 2);
  result.gradient.add_(gradient);
}

}  // namespace tc
