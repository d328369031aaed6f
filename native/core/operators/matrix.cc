#include "core/operators/matrix.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/diag.h>
#include <ATen/ops/matmul.h>

#include <utility>

namespace tc {
namespace {

class DenseOperator : public LinearOperator {
 public:
  DenseOperator(at::Tensor matrix, bool symmetric)
      : LinearOperator(matrix.size(0), matrix.size(1), matrix.options()),
        matrix_(std::move(matrix)),
        symmetric_(symmetric) {}

  bool symmetric() const override { return symmetric_; }
  int64_t bytes() const override { return static_cast<int64_t>(matrix_.nbytes()); }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken&) const override {
    return at::matmul(matrix_, v);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken&) const override {
    return at::matmul(matrix_.t(), u);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken&) const override {
    return at::matmul(vectors, matrix_.t());
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken&) const override {
    return at::matmul(vectors, matrix_);
  }
  at::Tensor makeDense(const StopToken&) const override { return matrix_.clone(); }
  at::Tensor makeDiagonal(const StopToken&) const override { return matrix_.diagonal().clone(); }

 private:
  at::Tensor matrix_;
  bool symmetric_;
};

class DiagonalOperator : public LinearOperator {
 public:
  explicit DiagonalOperator(at::Tensor diagonal)
      : LinearOperator(diagonal.numel(), diagonal.numel(), diagonal.options()),
        diagonal_(std::move(diagonal)) {}

  bool symmetric() const override { return true; }
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
