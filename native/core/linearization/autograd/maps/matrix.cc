#include "core/linearization/autograd/maps/matrix.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

#include "core/kernels/kernels.h"
#include "core/linearization/fused/parallel.h"
#include "core/profiler/stage.h"

namespace tc {
namespace {

using fused::forkJoin;
using fused::Kernels;
using fused::kernels;
using fused::Product;
using fused::rowStride;
using fused::WorkRange;

/// Operations that are worth a thread of their own.
constexpr int64_t kThreadWork = 1 << 20;
/// Rows of C that a thread takes at least, and a multiple of which it takes: whole blocks of the
/// kernels of every instruction set.
constexpr int64_t kRowsOfThread = 12;
/// Bytes between rows from which on columns may compete for the same sets of the cache.
constexpr int64_t kFarRow = 2048;

template <typename Body>
void withType(const at::Tensor& tensor, Body&& body) {
  if (tensor.scalar_type() == at::kFloat) {
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

/// Copies columns [begin, end) of B, [rows][columns], for kernels to read: rows of whole vectors,
/// filled up with zeros by whoever copies the last column.
template <typename T>
void pack(const Kernels<T>& kernels, int64_t rows, int64_t columns, int64_t begin, int64_t end,
          const View<const T>& b, T* to, int64_t toRow) {
  if (b.column != 1 && b.row == 1) {
    kernels.transpose(end - begin, rows, b.data + begin * b.column, b.column, to + begin, toRow);
  } else {
    for (int64_t k = 0; k < rows; ++k) {
      const T* const from = b.data + k * b.row;
      for (int64_t j = begin; j < end; ++j) to[k * toRow + j] = from[j * b.column];
    }
  }
  if (end < columns) return;
  const int64_t padded = wholeVectors(columns, kernels.lanes);
  for (int64_t k = 0; k < rows; ++k)
    std::fill(to + k * toRow + columns, to + k * toRow + padded, T(0));
}

/// C (+)= A B of one thread, where the rows of B are readable by kernels. `partial` has room for
/// `kRowsAtOnce` rows of whole vectors, for a C whose rows are none.
template <typename T>
void multiply(const Kernels<T>& kernels, int64_t m, int64_t n, int64_t k, const View<const T>& a,
              const T* b, int64_t bRow, T* c, int64_t cRow, const T* bias, bool accumulate,
              T* partial) {
  Product<T> p;
  p.m = m, p.n = n, p.k = k;
  p.a = a.data, p.aRow = a.row, p.aColumn = a.column;
  p.b = b, p.bRow = bRow;
  p.c = c, p.cRow = cRow;
  p.columnBias = bias, p.accumulate = accumulate;
  if (n % kernels.lanes == 0) return kernels.product(p);
  p.n = wholeVectors(n, kernels.lanes);
  p.c = partial, p.cRow = p.n, p.columnBias = nullptr, p.accumulate = false;
  for (int64_t first = 0; first < m; first += fused::kRowsAtOnce) {
    p.m = std::min(m - first, fused::kRowsAtOnce);
    p.a = a.data + first * a.row;
    kernels.product(p);
    for (int64_t i = 0; i < p.m; ++i) {
      T* const to = c + (first + i) * cRow;
      const T* const from = partial + i * p.cRow;
      for (int64_t j = 0; j < n; ++j) {
        const T start = accumulate ? to[j] : bias == nullptr ? T(0) : bias[j];
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
      if (packedRow > 0) pack(kernels, k, n, 0, n, each, packed, packedRow);
      multiply(kernels, m, n, k, {left.data + atA[at], left.row, left.column},
               packedRow > 0 ? packed : each.data, packedRow > 0 ? packedRow : each.row,
               result + atC[at], c.stride(-2), static_cast<const T*>(nullptr), accumulate,
               packed + k * packedRow);
    }
  });
}

}  // namespace

bool computesWith(const at::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  return (type == at::kFloat || type == at::kDouble) && tensor.device().is_cpu() &&
         tensor.layout() == at::kStrided && tensor.numel() > 0;
}

Matrix matrixOf(const at::Tensor& tensor) {
  return {tensor, tensor.size(0), tensor.size(1), tensor.stride(0), tensor.stride(1)};
}

Matrix rowsOf(const at::Tensor& tensor) {
  const int64_t columns = tensor.size(-1);
  return {tensor.contiguous(), tensor.numel() / columns, columns, columns, 1};
}

RightFactor::RightFactor(const Matrix& b)
    : memory_(b.tensor), rows_(b.rows), columns_(b.columns), row_(b.row) {
  withType(b.tensor, [&]<typename T>(T) {
    const Kernels<T>& kernels = fused::kernels<T>();
    const View<const T> view{b.tensor.const_data_ptr<T>(), b.row, b.column};
    if (readable(columns_, view, kernels.lanes)) return;
    row_ = rowStride<T>(columns_);
    memory_ = at::empty({rows_, row_}, b.tensor.options());
    T* const to = memory_.mutable_data_ptr<T>();
    const int64_t vectors = wholeVectors(columns_, kernels.lanes) / kernels.lanes;
    // Copying an element takes about as long as so many operations of a product.
    constexpr int64_t kCopy = 16;
    const int64_t workers = workersFor(kCopy * rows_ * columns_, vectors);
    forkJoin(workers, [&](int64_t worker) {
      const WorkRange own(vectors, worker, workers);
      pack(kernels, rows_, columns_, own.begin * kernels.lanes,
           std::min(columns_, own.end * kernels.lanes), view, to, row_);
    });
  });
}

void multiplyInto(const Matrix& c, const Matrix& a, const RightFactor& b, const at::Tensor& bias,
                  bool accumulate) {
  const profiling::Stage stage("torch_curvature::product", {a.tensor, b.tensor()});
  const int64_t operations = 2 * c.rows * c.columns * a.columns;
  stage.counts(operations);
  withType(c.tensor, [&]<typename T>(T) {
    const Kernels<T>& kernels = fused::kernels<T>();
    const View<const T> left{a.tensor.const_data_ptr<T>(), a.row, a.column};
    const T* const right = b.tensor().template const_data_ptr<T>();
    const T* const start = bias.defined() ? bias.const_data_ptr<T>() : nullptr;
    T* const result = c.tensor.mutable_data_ptr<T>();
    const int64_t parts = (c.rows + kRowsOfThread - 1) / kRowsOfThread;
    const int64_t workers = workersFor(operations, parts);
    const int64_t partial = partialSize<T>(c.columns, kernels.lanes);
    const at::Tensor memory =
        partial == 0 ? at::Tensor() : at::empty({workers, partial}, c.tensor.options());
    T* const base = partial == 0 ? nullptr : memory.mutable_data_ptr<T>();
    forkJoin(workers, [&](int64_t worker) {
      const WorkRange own(parts, worker, workers);
      const int64_t begin = own.begin * kRowsOfThread;
      const int64_t end = std::min(c.rows, own.end * kRowsOfThread);
      multiply(kernels, end - begin, c.columns, a.columns,
               {left.data + begin * left.row, left.row, left.column}, right, b.row(),
               result + begin * c.row, c.row, start, accumulate,
               base == nullptr ? nullptr : base + worker * partial);
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
