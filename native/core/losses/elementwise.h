#pragma once

#include <ATen/TensorOperators.h>

#include <string>

#include "core/losses/loss.h"

namespace tc {

/// Σ ℓ(yᵢ, tᵢ) over the elements of y, with a target of y's shape. PyTorch's mean divides by all
/// elements, and a datum is the vector along the last axis.
class ElementwiseLoss : public Loss {
 public:
  void check(const at::Tensor& y, const at::Tensor& target) const override;
  double divisor(const at::Tensor& y, const at::Tensor&) const override;
  std::optional<int64_t> datumAxis(const at::Tensor& y) const override { return y.dim() - 1; }
  at::Tensor rowValues(const at::Tensor& y, const at::Tensor& target) const override;
  at::Tensor gradient(const at::Tensor& y, const at::Tensor& target) const override {
    return slope(y, target);
  }
  at::Tensor hessianProduct(const at::Tensor& y, const at::Tensor& target,
                            const at::Tensor& u) const override {
    return curvature(y, target) * u;
  }
  RowFactors hessianFactors(const at::Tensor& y, const at::Tensor& target) const override;
  int64_t hessianFactorsOfOutput() const override { return 1; }

 protected:
  /// ℓ, of the shape of y.
  virtual at::Tensor values(const at::Tensor& y, const at::Tensor& target) const = 0;
  /// ∂ℓ/∂y, of the shape of y; differentiable with respect to y.
  virtual at::Tensor slope(const at::Tensor& y, const at::Tensor& target) const = 0;
  /// ∂²ℓ/∂y², of a shape that broadcasts to y's.
  virtual at::Tensor curvature(const at::Tensor& y, const at::Tensor& target) const = 0;
};

/// An element-wise loss whose targets nobody draws.
class UndrawnLoss : public ElementwiseLoss {
 public:
  std::string obstacle(LossMatrix matrix) const override;
  at::Tensor sampledGradient(const at::Tensor& y, const at::Tensor& target, const Draws& draws,
                             int64_t sample) const override;

 protected:
  /// The loss, and what to take in its place: "huber is …".
  virtual std::string whyUndrawn() const = 0;
};

/// Numbers that an option has for the elements of y, broadcast as in PyTorch: for all rows alike,
/// or with an axis of rows.
class PerElement {
 public:
  PerElement(at::Tensor values, std::string name)
      : values_(std::move(values)), name_(std::move(name)) {}

  bool given() const { return values_.defined(); }
  /// Undefined unless given.
  const at::Tensor& values() const { return values_; }
  /// `u` times these; u itself unless given.
  at::Tensor times(const at::Tensor& u) const;
  /// Throws Error ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_INVALID_ARGUMENT (a number that is
  /// negative or not finite).
  void check(const at::Tensor& y) const;
  /// Whether it has numbers for each row of outputs with `dims` axes.
  bool hasRows(int64_t dims) const;
  PerElement rows(int64_t begin, int64_t end, int64_t dims) const;

 private:
  at::Tensor values_;
  std::string name_;
};

}  // namespace tc
