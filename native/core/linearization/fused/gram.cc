#include "core/linearization/fused/gram.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "core/kernels/kernels.h"
#include "core/profiler/stage.h"
#include "core/runtime/parallel.h"

namespace tc::fused {
namespace {

/// Rows of J that are packed and multiplied before the next ones' turn: F is read and written once
/// for them.
constexpr int64_t kRowsPacked = 512;
/// Rows of J that are packed for both sides of a product while they are near.
constexpr int64_t kRowsNear = 16;
/// Panels that a block of F needs of each side: those of its rows stay in a core's second-level
/// cache while those of its columns pass.
constexpr int64_t kPanelBytes = int64_t{768} << 10;

/// Some rows of J as one side of a product, cut into panels (kernels.h) of `width` columns.
template <typename T>
class Panels {
 public:
  Panels(const at::Tensor& jacobian, int64_t width)
      : columns_(jacobian.size(1)),
        width_(width),
        size_(rowStride<T>(std::min(jacobian.size(0), kRowsPacked) * width)),
        memory_(at::empty({count() * size_}, jacobian.options())) {}

  int64_t count() const { return (columns_ + width_ - 1) / width_; }
  /// The first column of a panel, and how many it has of J.
  int64_t column(int64_t panel) const { return panel * width_; }
  int64_t columns(int64_t panel) const { return std::min(width_, columns_ - column(panel)); }
  int64_t width() const { return width_; }
  const T* operator[](int64_t panel) const { return memory_.const_data_ptr<T>() + panel * size_; }

  /// Row k of the first panel.
  T* row(int64_t k) { return memory_.template mutable_data_ptr<T>() + k * width_; }
  /// Elements from one panel to the next.
  int64_t size() const { return size_; }

 private:
  int64_t columns_;
  int64_t width_;
  int64_t size_;
  at::Tensor memory_;
};

/// A block of F: rows by the panels [top, bottom) of the left side, columns by the panels
/// [begin, end) of the right side.
struct Block {
  int64_t top;
  int64_t bottom;
  int64_t begin;
  int64_t end;
};

/// The blocks that have something of the upper triangle, the small ones of the last rows last.
template <typename T>
std::vector<Block> upperBlocks(const Panels<T>& left, const Panels<T>& right) {
  const auto panelsIn = [](const Panels<T>& panels) {
    return kPanelBytes / (kRowsPacked * panels.width() * static_cast<int64_t>(sizeof(T)));
  };
  std::vector<Block> blocks;
  for (int64_t top = 0; top < left.count(); top += panelsIn(left)) {
    const int64_t bottom = std::min(left.count(), top + panelsIn(left));
    const int64_t first = left.column(top) / right.width();
    for (int64_t begin = first; begin < right.count(); begin += panelsIn(right))
      blocks.push_back({top, bottom, begin, std::min(right.count(), begin + panelsIn(right))});
  }
  return blocks;
}

/// Adds the products of `rows` packed rows to a block of F. What the diagonal or the last column
/// cuts is made in `part` first, memory for one panel by another.
template <typename T>
void addBlock(const Kernels<T>& kernels, const Panels<T>& left, const Panels<T>& right,
              int64_t rows, const Block& block, T* part, T* gram, int64_t gramRow) {
  for (int64_t panel = block.begin; panel < block.end; ++panel) {
    const int64_t column = right.column(panel);
    const int64_t columns = right.columns(panel);
    for (int64_t strip = block.top; strip < block.bottom; ++strip) {
      const int64_t row = left.column(strip);
      if (row >= column + columns) break;
      T* const to = gram + row * gramRow + column;
      Product<T> f;
      f.m = left.columns(strip), f.n = right.width(), f.k = rows;
      f.a = left[strip], f.aRow = 1, f.aColumn = left.width();
      f.b = right[panel], f.bRow = right.width();
      const bool whole = columns == right.width() && row + f.m <= column + 1;
      f.c = whole ? to : part, f.cRow = whole ? gramRow : right.width();
      f.accumulate = whole;
      kernels.product(f);
      if (whole) continue;
      for (int64_t i = 0; i < f.m; ++i) {
        for (int64_t j = std::max<int64_t>(0, row + i - column); j < columns; ++j)
          to[i * gramRow + j] += part[i * right.width() + j];
      }
    }
  }
}

template <typename T>
void addUpper(const at::Tensor& jacobian, const at::Tensor& gram, const StopToken& stop) {
  const Kernels<T>& kernels = fused::kernels<T>();
  const int64_t rows = jacobian.size(0);
  const int64_t columns = jacobian.size(1);
  const int64_t jacobianRow = jacobian.stride(0);
  Panels<T> left(jacobian, kernels.blockRows);
  Panels<T> right(jacobian, kernels.blockColumns);
  const auto blocks = upperBlocks(left, right);
  const auto count = static_cast<int64_t>(blocks.size());
  const int64_t workers =
      std::clamp<int64_t>(at::get_num_threads(), 1, std::max<int64_t>(1, count));
  const int64_t partSize = rowStride<T>(left.width() * right.width());
  const at::Tensor memory = at::empty({workers * partSize}, gram.options());
  const T* const j = jacobian.const_data_ptr<T>();
  T* const f = gram.mutable_data_ptr<T>();
  T* const parts = memory.mutable_data_ptr<T>();
  for (int64_t begin = 0; begin < rows && !stop.requested(); begin += kRowsPacked) {
    const int64_t some = std::min(kRowsPacked, rows - begin);
    const int64_t groups = (some + kRowsNear - 1) / kRowsNear;
    forkJoin(workers, [&](int64_t worker) {
      const WorkRange own(groups, worker, workers);
      for (int64_t group = own.begin; group < own.end; ++group) {
        const int64_t first = group * kRowsNear;
        const int64_t last = std::min(some, first + kRowsNear);
        const T* const from = j + (begin + first) * jacobianRow;
        // Row by row, as they come from memory.
        for (int64_t k = first; k < last; ++k) {
          kernels.packRight(1, columns, from + (k - first) * jacobianRow, jacobianRow, right.row(k),
                            right.size());
        }
        kernels.packLeft(last - first, columns, from, jacobianRow, left.row(first), left.size());
      }
    });
    std::atomic<int64_t> next{0};
    forkJoin(workers, [&](int64_t worker) {
      for (int64_t block = next++; block < count && !stop.requested(); block = next++) {
        const profiling::Stage stage("torch_curvature::gram_block");
        addBlock(kernels, left, right, some, blocks[static_cast<size_t>(block)],
                 parts + worker * partSize, f, gram.size(1));
      }
    });
  }
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
