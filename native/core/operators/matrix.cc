#include "core/operators/matrix.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/diag.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "core/program/point.h"

namespace tc {
namespace {

/// Multiply-adds between two looks at the stop token.
constexpr int64_t kUninterrupted = int64_t{1} << 28;

class DenseOperator : public LinearOperator {
 public:
  DenseOperator(at::Tensor matrix, bool symmetric)
      : LinearOperator(matrix.size(0), matrix.size(1), matrix.options()),
        matrix_(std::move(matrix)),
        symmetric_(symmetric) {}

  bool symmetric() const override { return symmetric_; }
  OperatorPtr acrossProcesses(const OperatorPtr& self, const SumOverProcesses& sum) const override {
    return sum(self);
  }
  int64_t bytes() const override { return static_cast<int64_t>(matrix_.nbytes()); }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    if (rowsAtOnce(1) >= rows()) return at::matmul(matrix_, v);
    return applyMany(v.unsqueeze(0), stop).squeeze(0);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    if (rowsAtOnce(1) >= rows()) return at::matmul(matrix_.t(), u);
    return applyTransposedMany(u.unsqueeze(0), stop).squeeze(0);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    const int64_t some = rowsAtOnce(vectors.size(0));
    if (some >= rows()) return at::matmul(vectors, matrix_.t());
    at::Tensor result = at::empty({vectors.size(0), rows()}, options());
    forEachChunk(rows(), some, stop, [&](int64_t begin, int64_t end) {
      result.narrow(1, begin, end - begin)
          .copy_(at::matmul(vectors, matrix_.narrow(0, begin, end - begin).t()));
    });
    return result;
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    const int64_t some = rowsAtOnce(vectors.size(0));
    if (some >= rows()) return at::matmul(vectors, matrix_);
    at::Tensor result = at::zeros({vectors.size(0), cols()}, options());
    forEachChunk(rows(), some, stop, [&](int64_t begin, int64_t end) {
      const int64_t count = end - begin;
      result.addmm_(vectors.narrow(1, begin, count), matrix_.narrow(0, begin, count));
    });
    return result;
  }
  at::Tensor makeDense(const StopToken&) const override { return matrix_.clone(); }
  at::Tensor makeDiagonal(const StopToken&) const override { return matrix_.diagonal().clone(); }

 private:
  /// Rows of the matrix that are multiplied by so many vectors at once.
  int64_t rowsAtOnce(int64_t vectors) const {
    const int64_t row = std::max<int64_t>(1, cols()) * std::max<int64_t>(1, vectors);
    return std::max<int64_t>(1, kUninterrupted / row);
  }

  at::Tensor matrix_;
  bool symmetric_;
};

class DiagonalOperator : public LinearOperator {
 public:
  explicit DiagonalOperator(at::Tensor diagonal)
      : LinearOperator(diagonal.numel(), diagonal.numel(), diagonal.options()),
        diagonal_(std::move(diagonal)) {}

  bool symmetric() const override { return true; }
  OperatorPtr acrossProcesses(const OperatorPtr& self, const SumOverProcesses& sum) const override {
    return sum(self);
  }
  int64_t bytes() const override { return static_cast<int64_t>(diagonal_.nbytes()); }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken&) const override { return diagonal_ * v; }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken&) const override {
    return vectors * diagonal_;
  }
  at::Tensor makeDense(const StopToken&) const override { return at::diag(diagonal_); }
  at::Tensor makeDiagonal(const StopToken&) const override { return diagonal_.clone(); }

 private:
  at::Tensor diagonal_;
};

}  // namespace

OperatorPtr denseOperator(at::Tensor matrix, bool symmetric) {
  return std::make_shared<DenseOperator>(std::move(matrix), symmetric);
}

OperatorPtr diagonalOperator(at::Tensor diagonal) {
  return std::make_shared<DiagonalOperator>(std::move(diagonal));
}

}  // namespace tc
