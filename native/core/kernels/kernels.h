#pragma once

#include <cstdint>
#include <span>

#include "core/kernels/activation.h"

namespace tc::fused {

/// Instruction sets that the kernels are compiled for. One source, this folder, is
/// compiled once for each.
enum class Isa { kBaseline, kAvx2, kAvx512 };

/// A product of matrices; "row" counts elements from one row to the next.
///
///     C[i][j] = start[i][j] + Σ_k A[i][k] B[k][j] (+ Σ_k A2[i][k] B2[k][j]),   i < m, j < n
///
/// `start` is C itself (`accumulate`), else bias[i], else columnBias[j], else 0. A is read element
/// by element, so it may be any strided matrix; A2 and B2 have the strides of A and B. n is a
/// multiple of `lanes`.
template <typename T>
struct Product {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  const T* a = nullptr;
  int64_t aRow = 0;
  int64_t aColumn = 1;
  const T* b = nullptr;
  int64_t bRow = 0;
  const T* a2 = nullptr;
  const T* b2 = nullptr;
  T* c = nullptr;
  int64_t cRow = 0;
  const T* bias = nullptr;
  const T* columnBias = nullptr;
  bool accumulate = false;
  /// B is in no near cache: its panels are asked for ahead of their first use.
  bool distant = false;
  /// Elements, laid out as C, that multiply the result.
  const T* scale = nullptr;
};

/// Rows of A that a product uses for all columns before the next rows' turn: with the steps of k
/// that are taken at a time they are 144 KiB of float32, which the second-level cache holds beside
/// the panel of B. Cut between rows at multiples of it, a product is the same bit for bit.
constexpr int64_t kRowsAtOnce = 72;

/// Rows that were normalized, x̂ = (x − mean) / deviation, and their weights: y = w ⊙ x̂ + b.
template <typename T>
struct NormalizedRows {
  int64_t rows;
  int64_t n;            ///< a multiple of `lanes`
  const T* normalized;  ///< x̂, [rows][n]
  const T* inverse;     ///< 1 / deviation, [rows]
  const T* weight;      ///< w, [n]; null is 1
};

/// The inner loops of the fused engine for one instruction set. Matrices are [rows][n] with `row`
/// elements from one row to the next, samples along the columns unless said otherwise; n is a
/// multiple of `lanes`, pointers need no alignment.
template <typename T>
struct Kernels {
  /// Numbers in a vector register.
  int64_t lanes;
  /// The block of C that a product has in registers, [blockRows][blockColumns].
  int64_t blockRows;
  int64_t blockColumns;

  void (*product)(const Product<T>&);
  /// y[j] += Σ_i C[i][j] d[i][j] for the C of a product, which is never stored; d is laid out as C
  /// would be, and `accumulate` and `scale` are not looked at.
  void (*productDot)(const Product<T>&, const T* d, T* y);
  /// g[i][j] += Σ_t d[i][t] v[j][t],  i < m, j < columns, t < n
  void (*outerSum)(int64_t m, int64_t columns, int64_t n, const T* d, int64_t dRow, const T* v,
                   int64_t vRow, T* g, int64_t gRow);

  /// g[i][j] = d[i·dRow] v[j], or += if `accumulate`,  i < m, j < columns; g is contiguous
  void (*outer)(int64_t m, int64_t columns, const T* d, int64_t dRow, const T* v, T* g,
                bool accumulate);

  /// Cuts a matrix into panels of blockRows or blockColumns columns, the last one filled up with
  /// zeros, which lie `panel` elements apart: panels[p][k][j] = a[k][p·width + j]. A product of
  /// panels reads them from the first number to the last.
  void (*packLeft)(int64_t rows, int64_t columns, const T* a, int64_t aRow, T* panels,
                   int64_t panel);
  void (*packRight)(int64_t rows, int64_t columns, const T* a, int64_t aRow, T* panels,
                    int64_t panel);

  /// The activations there are; the rows are the same for all instruction sets.
  std::span<const ActivationKernel<T>> activations;
  /// c = a ⊙ b
  void (*multiply)(int64_t rows, int64_t n, int64_t row, const T* a, const T* b, T* c);
  /// c += a
  void (*add)(int64_t rows, int64_t n, int64_t row, const T* a, T* c);
  /// g[i] += Σ_t d[i][t]
  void (*rowSums)(int64_t rows, int64_t n, int64_t row, const T* d, T* g);
  /// y[o][t] += Σ_i d[o][i][t] z[i][t]; d[o] lies `dOutput` elements after d[o − 1]
  void (*dots)(int64_t outputs, int64_t rows, int64_t n, int64_t row, const T* d, int64_t dOutput,
               const T* z, T* y);
  /// c[i][t] = Σ_o u[o][t] d[o][i][t] and, unless g is null, g[i] += Σ_t c[i][t]
  void (*weighted)(int64_t outputs, int64_t rows, int64_t n, int64_t row, const T* u, const T* d,
                   int64_t dOutput, T* c, T* g);
  /// c[i][t] += w[t] d[i][t]²
  void (*addSquares)(int64_t rows, int64_t n, int64_t row, const T* d, const T* w, T* c);
  /// out = w ⊙ L(t) + x̂ ⊙ dw + db for L(t) = (t − mean(t) − x̂ mean(x̂ ⊙ t)) / deviation, row by row;
  /// t, dw or db may be null, which is 0
  void (*pushNormalized)(const NormalizedRows<T>&, const T* t, const T* dw, const T* db, T* out);
  /// Its transpose: dx = L(w ⊙ u), dw += Σ_rows x̂ ⊙ u, db += Σ_rows u; each may be null
  void (*pullNormalized)(const NormalizedRows<T>&, const T* u, T* dx, T* dw, T* db);
  /// t[i][j] = p[i][j] (t[i][j] − Σ_k p[i][k] t[i][k]), the derivative of softmax; p is contiguous,
  /// t has `row` elements from one row to the next; for any n
  void (*pushSoftmax)(int64_t rows, int64_t n, const T* p, T* t, int64_t row);
  /// b[j][i] = a[i][j] for any rows and columns
  void (*transpose)(int64_t rows, int64_t columns, const T* a, int64_t aRow, T* b, int64_t bRow);
};

/// The best instruction set of this processor, or the one that the environment variable
/// TORCH_CURVATURE_ISA (avx512, avx2, baseline) asks for if the processor has it; read once.
Isa activeIsa();

/// Forces an instruction set from now on; false if the processor lacks it. For tests: not to be
/// called while products run.
bool forceIsa(Isa isa);

/// Puts other kernels in their place until an instruction set is forced again. For tests, likewise.
void forceKernels(const Kernels<float>& single, const Kernels<double>& twofold);

/// The kernels of the active instruction set, for float and double.
template <typename T>
const Kernels<T>& kernels();

/// Elements from one row to the next for rows of `n` elements: an odd number of cache lines, so
/// that walking down a column does not meet the same few sets of the cache again and again.
template <typename T>
int64_t rowStride(int64_t n) {
  constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(T));
  return ((n + kLine - 1) / kLine | 1) * kLine;
}

}  // namespace tc::fused
