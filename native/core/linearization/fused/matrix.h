#pragma once

#include <algorithm>
#include <cstdint>

namespace tc::fused {

/// A view of a matrix [rows][columns]; `row` elements lie from one row to the next.
template <typename T>
struct Matrix {
  T* data;
  int64_t rows;
  int64_t columns;
  int64_t row;

  T* operator[](int64_t i) const { return data + i * row; }
  operator Matrix<const T>() const { return {data, rows, columns, row}; }
};

template <typename T>
void fill(const Matrix<T>& matrix, T value) {
  for (int64_t i = 0; i < matrix.rows; ++i) std::fill_n(matrix[i], matrix.columns, value);
}

/// The columns of `from` become the first ones of `to`.
template <typename T>
void copy(const Matrix<const T>& from, const Matrix<T>& to) {
  for (int64_t i = 0; i < from.rows; ++i) std::copy_n(from[i], from.columns, to[i]);
}

}  // namespace tc::fused
