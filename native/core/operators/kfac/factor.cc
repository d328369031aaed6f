#include "core/operators/kfac/factor.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <limits>
#include <utility>

#include "core/operators/factorizations.h"
#include "core/runtime/precision.h"

namespace tc {

Factor Factor::full(at::Tensor matrices) { return Factor(std::move(matrices)); }
Factor Factor::diagonal(at::Tensor diagonals) { return Factor(std::move(diagonals)); }

Factor Factor::asFull() const { return isDiagonal() ? full(at::diag_embed(values_)) : *this; }

at::Tensor Factor::left(const at::Tensor& x) const {
  return isDiagonal() ? values_.unsqueeze(2) * x : fromLeft(values_, x, false);
}

at::Tensor Factor::right(const at::Tensor& x) const {
  return isDiagonal() ? x * values_.unsqueeze(1) : fromRight(x, values_, false);
}

at::Tensor Factor::diagonals() const { return isDiagonal() ? values_ : values_.diagonal(0, 1, 2); }

at::Tensor Factor::traces() const { return diagonals().sum(1); }

at::Tensor Factor::squaredNorms() const {
  const at::Tensor squares = values_ * values_;
  return isDiagonal() ? squares.sum(1) : squares.sum({1, 2});
}

Factor::Eigen Factor::eigen(const StopToken& stop) const {
  if (isDiagonal()) return {values_, {}};
  const auto [values, vectors] = eighOrNaN(values_, stop);
  return {withoutRounding(values, {1}, size()), vectors};
}

std::pair<at::Tensor, at::Tensor> eighOrNaN(const at::Tensor& matrices, const StopToken& stop) {
  const at::Tensor isFinite = matrices.isfinite().all(-1).all(-1);
  if (isFinite.all().item<bool>()) {
    return symmetricEigen(matrices, stop);
  }
  const at::Tensor ofMatrix = isFinite.unsqueeze(-1).unsqueeze(-1);
  const auto [values, vectors] =
      symmetricEigen(at::where(ofMatrix, matrices, at::zeros({}, matrices.options())), stop);
  const at::Tensor nan = at::full({}, std::numeric_limits<double>::quiet_NaN(), values.options());
  return {at::where(isFinite.unsqueeze(-1), values, nan), at::where(ofMatrix, vectors, nan)};
}

at::Tensor withoutRounding(const at::Tensor& eigenvalues, at::IntArrayRef axes, int64_t d) {
  if (eigenvalues.numel() == 0) return eigenvalues;
  const at::Tensor sizes = eigenvalues.abs();
  const at::Tensor noise =
      sizes.amax(axes, /*keepdim=*/true) * (epsilonOf(eigenvalues) * static_cast<double>(d));
  return at::where(sizes <= noise, 0, eigenvalues);
}

Factor combined(const Factor& f, double c, const Factor& g, double d) {
  if (f.isDiagonal() && g.isDiagonal()) return Factor::diagonal(f.values() * c + g.values() * d);
  return Factor::full(f.asFull().values() * c + g.asFull().values() * d);
}

// The k matrices lie beside one another: with a product for each, Q would be copied k times.

at::Tensor fromLeft(const at::Tensor& q, const at::Tensor& x, bool transposed) {
  if (!q.defined()) return x;
  const int64_t k = x.size(0);
  const at::Tensor beside = x.permute({1, 2, 0, 3}).flatten(2);
  return at::bmm(transposed ? q.transpose(1, 2) : q, beside)
      .unflatten(2, {k, x.size(3)})
      .permute({2, 0, 1, 3});
}

at::Tensor fromRight(const at::Tensor& x, const at::Tensor& q, bool transposed) {
  if (!q.defined()) return x;
  const int64_t k = x.size(0);
  const at::Tensor stacked = x.permute({1, 0, 2, 3}).flatten(1, 2);
  return at::bmm(stacked, transposed ? q.transpose(1, 2) : q)
      .unflatten(1, {k, x.size(2)})
      .permute({1, 0, 2, 3});
}

}  // namespace tc
