#include "core/linearization/autograd/maps/matrix.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

#include "core/kernels/kernels.h"
#include "core/profiler/stage.h"
#include "core/runtime/lazy.h"
#include "core/runtime/parallel.h"

namespace tc {
namespace {

using fused::Kernels;
using fused::kernels;
using fused::Product;
using fused::rowStride;

/// Operations that are worth a thread of their own.
constexpr int64_t kThreadWork = 1 << 20;
/// Rows of C that a thread takes at least, and a multiple of which it takes: whole blocks of the
/// kernels of every instruction set.
constexpr int64_t kRowsOfThread = 12;
/// Bytes between rows from which on columns may compete for the same sets of the cache.
constexpr int64_t kFarRow = 2048;

template <typename Body>
void withType(const at::Tensor& tensor, Body&& body) {
  if (tensor.scalar_type() == at::kFloat) {  // NOLINT(bugprone-branch-clone): the types differ
    body(float());
  } else {
    body(double());
  }
}

int64_t workersFor(int64_t operations, int64_t parts) {
  const int64_t most = std::min<int64_t>({at::get_num_threads(), operations / kThreadWork, parts});
  return std::max<int64_t>(most, 1);
}

int64_t wholeVectors(int64_t n, int64_t lanes) { return (n + lanes - 1) / lanes * lanes; }

/// A matrix of numbers of type T.
template <typename T>
struct View {
  T* data;
  int64_t row;
  int64_t column;
};

template <typename T>
bool readable(int64_t columns, const View<const T>& b, int64_t lanes) {
  const int64_t bytes = b.row * static_cast<int64_t>(sizeof(T));
  return b.column == 1 && columns % lanes == 0 && (bytes < kFarRow || bytes % kFarRow != 0);
}

/// Copies B, [rows][columns], for kernels to read: rows of whole vectors, filled up with zeros.
template <typename T>
void pack(const Kernels<T>& kernels, int64_t rows, int64_t columns, const View<const T>& b, T* to,
          int64_t toRow) {
  if (b.column != 1 && b.row == 1) {
    kernels.transpose(columns, rows, b.data, b.column, to, toRow);
  } else if (b.column == 1) {
    for (int64_t k = 0; k < rows; ++k) std::copy_n(b.data + k * b.row, columns, to + k * toRow);
  } else {
    for (int64_t k = 0; k < rows; ++k) {
      const T* const from = b.data + k * b.row;
      for (int64_t j = 0; j < columns; ++j) to[k * toRow + j] = from[j * b.column];
    }
  }
  const int64_t padded = wholeVectors(columns, kernels.lanes);
  for (int64_t k = 0; k < rows; ++k)
    std::fill(to + k * toRow + columns, to + k * toRow + padded, T(0));
}

/// A product of one thread, for any n, where the rows of B are readable by kernels. `partial` has
/// room for `kRowsAtOnce` rows of whole vectors, for a C whose rows are none.
template <typename T>
void multiply(const Kernels<T>& kernels, const Product<T>& p, T* partial) {
  if (p.n % kernels.lanes == 0) return kernels.product(p);
  Product<T> part = p;
  part.n = wholeVectors(p.n, kernels.lanes);
  part.c = partial, part.cRow = part.n, part.columnBias = nullptr, part.accumulate = false;
  for (int64_t first = 0; first < p.m; first += fused::kRowsAtOnce) {
    part.m = std::min(p.m - first, fused::kRowsAtOnce);
    part.a = p.a + first * p.aRow;
    if (p.a2 != nullptr) part.a2 = p.a2 + first * p.aRow;
    kernels.product(part);
    for (int64_t i = 0; i < part.m; ++i) {
      T* const to = p.c + (first + i) * p.cRow;
      const T* const from = partial + i * part.cRow;
      for (int64_t j = 0; j < p.n; ++j) {
        const T start = p.accumulate ? to[j] : p.columnBias == nullptr ? T(0) : p.columnBias[j];
        to[j] = start + from[j];
      }
    }
  }
}

template <typename T>
int64_t partialSize(int64_t n, int64_t lanes) {
  return n % lanes == 0 ? 0 : fused::kRowsAtOnce * wholeVectors(n, lanes);
}

/// Where each of the matrices of a tensor [..., rows, columns] begins, in elements.
std::vector<int64_t> beginnings(const at::Tensor& tensor) {
  std::vector<int64_t> all = {0};
  for (int64_t axis = 0; axis + 2 < tensor.dim(); ++axis) {
    std::vector<int64_t> finer;
    finer.reserve(all.size() * static_cast<size_t>(tensor.size(axis)));
    for (const int64_t begin : all) {
      for (int64_t i = 0; i < tensor.size(axis); ++i)
        finer.push_back(begin + i * tensor.stride(axis));
    }
    all = std::move(finer);
  }
  return all;
}

template <typename T>
void multiplyEach(const at::Tensor& c, const at::Tensor& a, const at::Tensor& b, bool accumulate) {
  const Kernels<T>& kernels = fused::kernels<T>();
  const int64_t m = c.size(-2);
  const int64_t n = c.size(-1);
  const int64_t k = a.size(-1);
  const auto atA = beginnings(a);
  const auto atB = beginnings(b);
  const auto atC = beginnings(c);
  const auto count = static_cast<int64_t>(atC.size());
  const View<const T> left{a.const_data_ptr<T>(), a.stride(-2), a.stride(-1)};
  const View<const T> right{b.const_data_ptr<T>(), b.stride(-2), b.stride(-1)};
  T* const result = c.mutable_data_ptr<T>();
  const int64_t packedRow = readable(n, right, kernels.lanes) ? 0 : rowStride<T>(n);
  const int64_t partial = partialSize<T>(n, kernels.lanes);
  const int64_t workers = workersFor(2 * count * m * n * k, count);
  const at::Tensor memory = at::empty({workers, k * packedRow + partial}, c.options());
  T* const base = memory.mutable_data_ptr<T>();
  forkJoin(workers, [&](int64_t worker) {
    T* const packed = base + worker * memory.size(1);
    const WorkRange own(count, worker, workers);
    for (int64_t i = own.begin; i < own.end; ++i) {
      const auto at = static_cast<size_t>(i);
      const View<const T> each{right.data + atB[at], right.row, right.column};
      if (packedRow > 0) pack(kernels, k, n, each, packed, packedRow);
      Product<T> p;
      p.m = m, p.n = n, p.k = k;
      p.a = left.data + atA[at], p.aRow = left.row, p.aColumn = left.column;
      p.b = packedRow > 0 ? packed : each.data, p.bRow = packedRow > 0 ? packedRow : each.row;
      p.c = result + atC[at], p.cRow = c.stride(-2);
      p.accumulate = accumulate;
      multiply(kernels, p, packed + k * packedRow);
    }
  });
}

/// Whether one pass does both: they lie alike, and the panels of both right factors stay in a
/// second-level cache while rows of A pass by.
bool together(const Term& a, const Term& b) {
  constexpr int64_t kSteps = 128;
  return a.a.row == b.a.row && a.a.column == b.a.column && a.a.columns == b.a.columns &&
         a.a.columns <= kSteps;
}

/// One or two terms of a product that one pass computes; `whole` is for all rows and columns, its
/// right factors where they lie.
template <typename T>
struct Pass {
  Product<T> whole;
  View<const T> b;
  View<const T> b2;  ///< without data where there is one term
  bool packs;        ///< right factors are copied, a panel at a time

  int64_t terms() const { return b2.data == nullptr ? 1 : 2; }
};

/// Columns of a panel of B that is copied: those that kernels of every instruction set take at a
/// time, or several times those.
constexpr int64_t kPanelColumns = 64;

/// Rows [begin, end), right factors where they lie.
template <typename T>
void multiplyRows(const Kernels<T>& kernels, const Pass<T>& pass, int64_t begin, int64_t end,
                  T* partial) {
  Product<T> p = pass.whole;
  p.m = end - begin;
  p.a += begin * p.aRow;
  if (p.a2 != nullptr) p.a2 += begin * p.aRow;
  p.b = pass.b.data, p.b2 = pass.b2.data, p.bRow = pass.b.row;
  p.distant = true;
  p.c += begin * p.cRow;
  multiply(kernels, p, partial);
}

/// All rows, columns [begin, end): a panel of each right factor is copied and used by all rows
/// while it is in the cache.
template <typename T>
void multiplyPanels(const Kernels<T>& kernels, const Pass<T>& pass, int64_t begin, int64_t end,
                    T* memory) {
  const int64_t k = pass.whole.k;
  const int64_t panel = k * kPanelColumns;
  for (int64_t first = begin; first < end; first += kPanelColumns) {
    const int64_t n = std::min(end - first, kPanelColumns);
    const auto copied = [&](const View<const T>& from, T* to) {
      pack(kernels, k, n, {from.data + first * from.column, from.row, from.column}, to,
           kPanelColumns);
      return to;
    };
    Product<T> p = pass.whole;
    p.n = n, p.bRow = kPanelColumns;
    p.b = copied(pass.b, memory);
    if (pass.terms() == 2) p.b2 = copied(pass.b2, memory + panel);
    p.c += first;
    if (p.columnBias != nullptr) p.columnBias += first;
    multiply(kernels, p, memory + pass.terms() * panel);
  }
}

}  // namespace

bool computesWith(const at::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  return (type == at::kFloat || type == at::kDouble) && tensor.device().is_cpu() &&
         tensor.layout() == at::kStrided && tensor.numel() > 0 && !isLazy(tensor);
}

Matrix matrixOf(const at::Tensor& tensor) {
  return {tensor, tensor.size(0), tensor.size(1), tensor.stride(0), tensor.stride(1)};
}

Matrix rowsOf(const at::Tensor& tensor) {
  const int64_t columns = tensor.size(-1);
  return {tensor.contiguous(), tensor.numel() / columns, columns, columns, 1};
}

void multiplyInto(const Matrix& c, std::initializer_list<Term> terms, const at::Tensor& bias,
                  bool accumulate) {
  const Term& first = *terms.begin();
  const Term* const second = terms.size() > 1 ? terms.begin() + 1 : nullptr;
  if (second != nullptr && !together(first, *second)) {
    multiplyInto(c, {first}, bias, accumulate);
    return multiplyInto(c, {*second}, {}, /*accumulate=*/true);
  }
  const profiling::Stage stage("torch_curvature::product", {first.a.tensor, first.b.tensor});
  const int64_t operations =
      2 * static_cast<int64_t>(terms.size()) * c.rows * c.columns * first.a.columns;
  stage.counts(operations);
  withType(c.tensor, [&]<typename T>(T) {
    const Kernels<T>& kernels = fused::kernels<T>();
    const auto viewOf = [](const Matrix& matrix) {
      return View<const T>{matrix.tensor.template const_data_ptr<T>(), matrix.row, matrix.column};
    };
    Pass<T> pass{};
    Product<T>& whole = pass.whole;
    whole.m = c.rows, whole.n = c.columns, whole.k = first.a.columns;
    whole.a = viewOf(first.a).data, whole.aRow = first.a.row, whole.aColumn = first.a.column;
    whole.c = c.tensor.mutable_data_ptr<T>(), whole.cRow = c.row;
    whole.columnBias = bias.defined() ? bias.const_data_ptr<T>() : nullptr;
    whole.accumulate = accumulate;
    pass.b = viewOf(first.b);
    pass.packs = !readable(c.columns, pass.b, kernels.lanes);
    if (second != nullptr) {
      whole.a2 = viewOf(second->a).data;
      pass.b2 = viewOf(second->b);
      pass.packs =
          pass.packs || !readable(c.columns, pass.b2, kernels.lanes) || pass.b2.row != pass.b.row;
    }
    const int64_t unit = pass.packs ? kPanelColumns : kRowsOfThread;
    const int64_t length = pass.packs ? c.columns : c.rows;
    const int64_t parts = (length + unit - 1) / unit;
    const int64_t workers = workersFor(operations, parts);
    // Of the last panel; those before it have whole vectors.
    const int64_t partial = partialSize<T>(c.columns % kPanelColumns, kernels.lanes);
    const int64_t size = pass.packs ? pass.terms() * whole.k * kPanelColumns + partial : 0;
    const at::Tensor memory =
        size == 0 ? at::Tensor() : at::empty({workers, size}, c.tensor.options());
    T* const base = size == 0 ? nullptr : memory.mutable_data_ptr<T>();
    forkJoin(workers, [&](int64_t worker) {
      const WorkRange own(parts, worker, workers);
      const int64_t begin = own.begin * unit;
      const int64_t end = std::min(length, own.end * unit);
      if (pass.packs) {
        multiplyPanels(kernels, pass, begin, end, base + worker * size);
      } else {
        multiplyRows(kernels, pass, begin, end, static_cast<T*>(nullptr));
      }
    });
  });
}

void multiplyBatches(const at::Tensor& c, const at::Tensor& a, const at::Tensor& b,
                     bool accumulate) {
  // The kernels write rows: a result that lies in columns is the transpose of one in rows.
  if (c.stride(-1) != 1 && c.size(-1) != 1) {
    if (c.stride(-2) == 1) return multiplyBatches(c.mT(), b.mT(), a.mT(), accumulate);
    const at::Tensor rows = accumulate ? c.contiguous() : at::empty(c.sizes(), c.options());
    multiplyBatches(rows, a, b, accumulate);
    c.copy_(rows);
    return;
  }
  const profiling::Stage stage("torch_curvature::products", {a, b});
  stage.counts(2 * c.numel() * a.size(-1));
  withType(c, [&]<typename T>(T) { multiplyEach<T>(c, a, b, accumulate); });
}

}  // namespace tc
