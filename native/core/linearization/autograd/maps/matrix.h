#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace tc {

/// Whether the products below compute with a tensor like this one: dense, on the CPU, of numbers in
/// float32 or float64, at least one of them.
bool computesWith(const at::Tensor& tensor);

/// A matrix in the memory of a tensor, which it keeps alive; strides count elements.
struct Matrix {
  at::Tensor tensor;
  int64_t rows;
  int64_t columns;
  int64_t row;     ///< from one row to the next
  int64_t column;  ///< from one column to the next

  Matrix transposed() const { return {tensor, columns, rows, column, row}; }
};

/// A tensor of two axes.
Matrix matrixOf(const at::Tensor& tensor);
/// The last axis as columns, all others as rows: the tensor itself where it is contiguous, else a
/// copy.
Matrix rowsOf(const at::Tensor& tensor);

/// A B, for products below.
struct Term {
  Matrix a;
  Matrix b;
};

/// C = Σ A B over one or two terms, or C += that if `accumulate`; `bias`, which may be undefined,
/// is added to each row, not with `accumulate`. The columns of C are contiguous. On libtorch's
/// threads; the bits do not depend on how many there are.
void multiplyInto(const Matrix& c, std::initializer_list<Term> terms, const at::Tensor& bias = {},
                  bool accumulate = false);

/// C[i] = A[i] B[i], or += if `accumulate`, for tensors [..., m, n], [..., m, k] and [..., k, n] of
/// the same leading axes, laid out in memory in any way.
void multiplyBatches(const at::Tensor& c, const at::Tensor& a, const at::Tensor& b,
                     bool accumulate);

}  // namespace tc
