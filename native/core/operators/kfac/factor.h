#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

#include "core/runtime/stop.h"

namespace tc {

/// Some symmetric matrices of one size, full ones, [g, d, d], or diagonal ones, [g, d]: one side of
/// a Kronecker product for each of g groups. A diagonal one takes the memory of its diagonal.
class Factor {
 public:
  Factor() = default;
  static Factor full(at::Tensor matrices);
  static Factor diagonal(at::Tensor diagonals);
  /// Either, by the number of axes.
  static Factor of(at::Tensor values) { return Factor(std::move(values)); }
  /// The same, not as diagonals.
  Factor asFull() const;

  int64_t size() const { return values_.size(1); }
  bool isDiagonal() const { return values_.dim() == 2; }
  const at::Tensor& values() const { return values_; }

  /// F X for X of [k, g, d, c].
  at::Tensor left(const at::Tensor& x) const;
  /// X F for X of [k, g, r, d].
  at::Tensor right(const at::Tensor& x) const;
  /// [g, d]
  at::Tensor diagonals() const;
  /// The trace of each, [g].
  at::Tensor traces() const;
  /// The squared Frobenius norm of each, [g].
  at::Tensor squaredNorms() const;

  /// F = Q diag(values) Qᵀ.
  struct Eigen {
    at::Tensor values;   ///< [g, d]; those within rounding of 0 are 0, as a rank counts them
    at::Tensor vectors;  ///< Q, [g, d, d]; undefined for the identity
  };
  Eigen eigen(const StopToken& stop) const;

  int64_t bytes() const { return static_cast<int64_t>(values_.nbytes()); }

 private:
  explicit Factor(at::Tensor values) : values_(std::move(values)) {}

  at::Tensor values_;
};

/// The eigenvalues, in ascending order, and the eigenvectors of symmetric matrices, [..., d, d];
/// NaN of those with NaN or infinity, at which LAPACK does not end.
std::pair<at::Tensor, at::Tensor> eighOrNaN(const at::Tensor& matrices, const StopToken& stop);

/// The eigenvalues of matrices of d rows, along `axes`, with those within rounding of 0 as 0: below
/// d times the precision relative to the largest.
at::Tensor withoutRounding(const at::Tensor& eigenvalues, at::IntArrayRef axes, int64_t d);

/// c F + d G of the same size; diagonal only where both are.
Factor combined(const Factor& f, double c, const Factor& g, double d);

/// Q X, X Q and their transposes, for X of [k, g, r, c]; X itself where Q is undefined.
at::Tensor fromLeft(const at::Tensor& q, const at::Tensor& x, bool transposed);
at::Tensor fromRight(const at::Tensor& x, const at::Tensor& q, bool transposed);

}  // namespace tc
