#include "core/losses/elementwise.h"

#include <ATen/ExpandUtils.h>
#include <ATen/TensorOperators.h>

#include "core/runtime/error.h"

namespace tc {

void ElementwiseLoss::check(const at::Tensor& y, const at::Tensor& target) const {
  checkLikeOutput(y, target);
}

double ElementwiseLoss::divisor(const at::Tensor& y, const at::Tensor&) const {
  return static_cast<double>(y.numel());
}

at::Tensor ElementwiseLoss::rowValues(const at::Tensor& y, const at::Tensor& target) const {
  return values(y, target).reshape({y.size(0), -1}).sum(1);
}

RowFactors ElementwiseLoss::hessianFactors(const at::Tensor& y, const at::Tensor& target) const {
  // A variance that is one number has a precision of its own.
  const at::Tensor each = curvature(y, target).to(y.scalar_type());
  const at::Tensor diagonal = each.expand_as(y).reshape({y.size(0), -1});
  return {unitVectors(y), diagonal.t()};
}

std::string UndrawnLoss::obstacle(LossMatrix matrix) const {
  return matrix == LossMatrix::kFisher
             ? "fisher draws targets from the distribution whose negative log-likelihood the loss "
               "is; " +
                   whyUndrawn()
             : "";
}

at::Tensor UndrawnLoss::sampledGradient(const at::Tensor&, const at::Tensor&, const Draws&,
                                        int64_t) const {
  throw Error("ERR_INVALID_ARGUMENT", obstacle(LossMatrix::kFisher));
}

at::Tensor PerElement::times(const at::Tensor& u) const { return given() ? u * values_ : u; }

void PerElement::check(const at::Tensor& y) const {
  if (!given()) return;
  const std::string what = "the loss's " + name_;
  if (values_.dim() > 0 && values_.scalar_type() != y.scalar_type())
    throw Error("ERR_DTYPE_MISMATCH", what + " should have the precision of the params");
  if (!at::is_expandable_to(values_.sizes(), y.sizes())) {
    throw Error("ERR_SHAPE_MISMATCH", what + " should broadcast to the model's output, " +
                                          describeShape(y.sizes()) + ", got " +
                                          describeShape(values_.sizes()));
  }
  checkNotNegative(values_, what);
}

bool PerElement::hasRows(int64_t dims) const {
  return given() && values_.dim() == dims && values_.size(0) != 1;
}

PerElement PerElement::rows(int64_t begin, int64_t end, int64_t dims) const {
  return {hasRows(dims) ? values_.narrow(0, begin, end - begin) : values_, name_};
}

}  // namespace tc
