#include "core/linearization/fused/gram.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "core/kernels/kernels.h"
#include "core/linearization/fused/parallel.h"
#include "core/profiler/stage.h"

namespace tc::fused {
namespace {

/// Rows and columns of the blocks of F that are computed one at a time, and rows of J in one step:
/// a block and the two parts of J that it needs fit into a core's second-level cache.
constexpr int64_t kBlockBytes = 1536;
constexpr int64_t kStep = 128;
/// Rows of a block on the diagonal that share their first column.
constexpr int64_t kStrip = 48;

/// A block of F: rows from i, columns from j ≥ i.
struct BlockAt {
  int64_t i;
  int64_t j;
};

/// The blocks of the upper triangle, the small ones of the last rows last.
std::vector<BlockAt> upperBlocks(int64_t columns, int64_t size) {
  std::vector<BlockAt> blocks;
  for (int64_t i = 0; i < columns; i += size) {
    for (int64_t j = i; j < columns; j += size) blocks.push_back({i, j});
  }
  return blocks;
}

/// Copies rows [begin, end) and `width` columns of J, filled up with zeros to `padded` columns.
template <typename T>
void pack(const T* jacobian, int64_t rowStride, int64_t begin, int64_t end, int64_t width,
          int64_t padded, T* to, int64_t toRow) {
  for (int64_t k = begin; k < end; ++k, to += toRow) {
    std::copy_n(jacobian + k * rowStride, width, to);
    std::fill(to + width, to + padded, T(0));
  }
}

/// The memory that a thread works in.
template <typename T>
struct Workspace {
  int64_t row;
  T* left;   ///< [kStep][row], columns i … of J
  T* right;  ///< [kStep][row], columns j … of J
  T* sum;    ///< [block][row]
};

template <typename T>
void addBlock(const Kernels<T>& kernels, const T* jacobian, int64_t rows, int64_t columns,
              int64_t jacobianRow, BlockAt at, int64_t size, const Workspace<T>& work, T* gram,
              const StopToken& stop) {
  const int64_t lanes = kernels.lanes;
  const int64_t height = std::min(size, columns - at.i);
  const int64_t width = std::min(size, columns - at.j);
  const int64_t padded = (width + lanes - 1) / lanes * lanes;
  const bool diagonal = at.i == at.j;
  std::fill_n(work.sum, height * work.row, T(0));
  for (int64_t begin = 0; begin < rows && !stop.requested(); begin += kStep) {
    const int64_t end = std::min(rows, begin + kStep);
    pack(jacobian + at.j, jacobianRow, begin, end, width, padded, work.right, work.row);
    if (!diagonal) {
      pack(jacobian + at.i, jacobianRow, begin, end, height, height, work.left, work.row);
    }
    const int64_t strip = diagonal ? kStrip : height;
    for (int64_t first = 0; first < height; first += strip) {
      const int64_t column = diagonal ? first / lanes * lanes : 0;
      Product<T> f;
      f.m = std::min(strip, height - first), f.n = padded - column, f.k = end - begin;
      f.a = (diagonal ? work.right : work.left) + first, f.aRow = 1, f.aColumn = work.row;
      f.b = work.right + column, f.bRow = work.row;
      f.c = work.sum + first * work.row + column, f.cRow = work.row;
      f.accumulate = true;
      kernels.product(f);
    }
  }
  for (int64_t i = 0; i < height; ++i) {
    T* const to = gram + (at.i + i) * columns + at.j;
    const T* const from = work.sum + i * work.row;
    for (int64_t j = diagonal ? i : 0; j < width; ++j) to[j] += from[j];
  }
}

template <typename T>
void addUpper(const at::Tensor& jacobian, const at::Tensor& gram, const StopToken& stop) {
  const Kernels<T>& kernels = fused::kernels<T>();
  const int64_t columns = gram.size(0);
  const int64_t size = kBlockBytes / static_cast<int64_t>(sizeof(T));
  const auto blocks = upperBlocks(columns, size);
  const auto count = static_cast<int64_t>(blocks.size());
  const int64_t workers =
      std::clamp<int64_t>(at::get_num_threads(), 1, std::max<int64_t>(1, count));
  const int64_t row = rowStride<T>(size);
  const int64_t perWorker = (2 * kStep + size) * row;
  const at::Tensor memory = at::empty({workers * perWorker}, gram.options());
  const T* const j = jacobian.const_data_ptr<T>();
  T* const f = gram.mutable_data_ptr<T>();
  T* const base = memory.mutable_data_ptr<T>();
  std::atomic<int64_t> next{0};
  forkJoin(workers, [&](int64_t worker) {
    T* const mine = base + worker * perWorker;
    const Workspace<T> work{row, mine, mine + kStep * row, mine + 2 * kStep * row};
    for (int64_t block = next++; block < count && !stop.requested(); block = next++) {
      const profiling::Stage stage("torch_curvature::gram_block");
      addBlock(kernels, j, jacobian.size(0), columns, jacobian.stride(0),
               blocks[static_cast<size_t>(block)], size, work, f, stop);
    }
  });
  stop.poll();
}

template <typename T>
at::Tensor multiplyUpper(const at::Tensor& upper, const at::Tensor& v, const StopToken& stop) {
  const int64_t columns = upper.size(0);
  // The rows of a triangle shrink: dealing them out like cards shares the work evenly.
  constexpr int64_t kDeal = 16;
  const int64_t workers =
      std::clamp<int64_t>(at::get_num_threads(), 1, std::max<int64_t>(1, columns / kDeal));
  // In double precision: each element of the result is a long sum with much cancellation.
  const at::Tensor sums = at::zeros({workers, columns}, v.options().dtype(at::kDouble));
  const T* const f = upper.const_data_ptr<T>();
  const T* const x = v.const_data_ptr<T>();
  double* const base = sums.mutable_data_ptr<double>();
  forkJoin(workers, [&](int64_t worker) {
    double* const y = base + worker * columns;
    for (int64_t deal = worker * kDeal; deal < columns && !stop.requested();
         deal += workers * kDeal) {
      for (int64_t i = deal; i < std::min(columns, deal + kDeal); ++i) {
        const T* const row = f + i * columns;
        const double left = x[i];
        constexpr int64_t kSums = 32;  // independent sums, for the compiler's vectors
        double dot[kSums] = {};
        int64_t j = i + 1;
        for (; j + kSums <= columns; j += kSums) {
          for (int64_t s = 0; s < kSums; ++s) {
            const double element = row[j + s];
            dot[s] += element * x[j + s];
            y[j + s] += element * left;
          }
        }
        double sum = row[i] * left;
        for (; j < columns; ++j) {
          const double element = row[j];
          sum += element * x[j];
          y[j] += element * left;
        }
        for (int64_t s = 0; s < kSums; ++s) sum += dot[s];
        y[i] += sum;
      }
    }
  });
  stop.poll();
  return sums.sum(0).to(v.scalar_type());
}

}  // namespace

void addGramUpper(const at::Tensor& jacobian, const at::Tensor& gram, const StopToken& stop) {
  if (gram.scalar_type() == at::kFloat) return addUpper<float>(jacobian, gram, stop);
  addUpper<double>(jacobian, gram, stop);
}

at::Tensor symmetricMatvec(const at::Tensor& upper, const at::Tensor& v, const StopToken& stop) {
  const at::Tensor vector = v.contiguous();
  return upper.scalar_type() == at::kFloat ? multiplyUpper<float>(upper, vector, stop)
                                           : multiplyUpper<double>(upper, vector, stop);
}

}  // namespace tc::fused
