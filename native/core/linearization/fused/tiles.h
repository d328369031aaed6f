#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/linearization/fused/layout.h"
#include "core/linearization/fused/tile.h"
#include "core/profiler/stage.h"
#include "core/runtime/parallel.h"
#include "core/runtime/stop.h"
#include "core/runtime/sum.h"

namespace tc::fused {

/// The tiles of a batch, dealt out to threads; each works with scratch memory of its own. The token
/// is looked at before each tile, and by the program within; what is computed once it asks for a
/// stop is worthless, and thrown away: Error ABORTED.
template <typename T>
class Tiles {
 public:
  using Target = typename TileProgram<T>::Target;

  Tiles(const Plan& plan, int64_t batch, const at::TensorOptions& options, const StopToken& stop)
      : plan_(plan),
        batch_(batch),
        end_(plan.tiles),
        options_(options),
        stop_(stop),
        workers_(std::clamp<int64_t>(at::get_num_threads(), 1, std::max<int64_t>(1, plan.tiles))) {}

  /// The tiles [begin, end) of these alone.
  Tiles part(int64_t begin, int64_t end) const {
    Tiles part = *this;
    part.begin_ = begin;
    part.end_ = end;
    return part;
  }

  /// body(worker, tile, first sample, samples, scratch) for every tile, with `extra` elements more
  /// of scratch.
  template <typename Body>
  void run(int64_t extra, Body&& body) const {
    run(begin_, end_, scratchMemory(extra), body);
  }

  /// Jᵀu [parameters], where body(tile, first sample, samples, scratch, target) makes each tile's
  /// part for `target`. The order of all sums depends on the number of threads alone, so that the
  /// same number gives the same bits.
  template <typename Body>
  at::Tensor sum(const TileProgram<T>& program, int64_t extra, int64_t parameters,
                 Body&& body) const {
    if (end_ == begin_) return at::zeros({parameters}, options_);
    const at::Tensor scratch = scratchMemory(extra);
    Sum gradient;
    const int64_t most = kTilesAtOnce * workers_;
    for (int64_t begin = begin_; begin < end_; begin += most) {
      gradient.add(part(begin, std::min(end_, begin + most))
                       .sumInPrecision(program, scratch, parameters, body));
    }
    return gradient.total();
  }

 private:
  /// Parameters from which it pays to add the threads' sums on several threads.
  static constexpr int64_t kParallelSum = 1 << 15;
  static constexpr size_t kCacheLine = 64;
  /// Tiles of a thread whose gradients are added in the precision of the parameters.
  static constexpr int64_t kTilesAtOnce = 1024;

  template <typename Body>
  at::Tensor sumInPrecision(const TileProgram<T>& program, const at::Tensor& scratch,
                            int64_t parameters, Body&& body) const {
    const at::Tensor gradient = at::empty({parameters}, options_);
    if (plan_.sharesRows()) {
      sumByRows(program, scratch, gradient, body);
    } else {
      sumByThreads(scratch, gradient, body);
    }
    return gradient;
  }

  /// Round by round: the tiles leave δ and v in the shared memory, then each thread makes its rows
  /// of every gradient.
  template <typename Body>
  void sumByRows(const TileProgram<T>& program, const at::Tensor& scratch,
                 const at::Tensor& gradient, Body&& body) const {
    bool overwrites = plan_.chain.usesEachOnce(gradient.numel());
    if (!overwrites) gradient.zero_();
    T* const total = gradient.mutable_data_ptr<T>();
    const at::Tensor memory = buffer(plan_.shared.size);
    T* const shared = memory.mutable_data_ptr<T>();
    for (int64_t begin = begin_; begin < end_; begin += plan_.roundTiles) {
      const int64_t end = std::min(end_, begin + plan_.roundTiles);
      const int64_t start = begin * plan_.tile;
      run(begin, end, scratch, [&](int64_t, int64_t tile, int64_t first, int64_t n, T* own) {
        body(tile, first, n, own, Target{nullptr, shared, first - start});
      });
      const int64_t samples = std::min(batch_, end * plan_.tile) - start;
      const profiling::Stage stage("torch_curvature::shared_rows");
      forkJoin(workers_, [&](int64_t worker) {
        program.pullRows(worker, workers_, samples, shared, total, overwrites, stop_);
      });
      stop_.poll();
      overwrites = false;
    }
  }

  /// Each thread adds up the gradients of its tiles, the first one in the result itself; then the
  /// threads' sums are added up.
  template <typename Body>
  void sumByThreads(const at::Tensor& scratch, const at::Tensor& gradient, Body&& body) const {
    const int64_t parameters = gradient.numel();
    gradient.zero_();
    T* const total = gradient.mutable_data_ptr<T>();
    const at::Tensor others = buffer((workers_ - 1) * parameters);
    T* const partial = others.mutable_data_ptr<T>();
    std::vector<char> started(static_cast<size_t>(workers_) * kCacheLine);  // a line for each
    run(begin_, end_, scratch, [&](int64_t worker, int64_t tile, int64_t first, int64_t n, T* own) {
      T* const mine = worker == 0 ? total : partial + (worker - 1) * parameters;
      char& begun = started[static_cast<size_t>(worker) * kCacheLine];
      if (worker > 0 && begun == 0) std::fill_n(mine, parameters, T(0));
      begun = 1;
      body(tile, first, n, own, Target{mine, nullptr, first});
    });
    const int64_t adders = parameters < kParallelSum ? 1 : workers_;
    const profiling::Stage stage("torch_curvature::sum_gradients");
    forkJoin(adders, [&](int64_t adder) {
      const WorkRange own(parameters, adder, adders);
      for (int64_t worker = 1; worker < workers_ && !stop_.requested(); ++worker) {
        const T* const theirs = partial + (worker - 1) * parameters;
        for (int64_t i = own.begin; i < own.end; ++i) total[i] += theirs[i];
      }
    });
    stop_.poll();
  }

  at::Tensor scratchMemory(int64_t extra) const {
    const profiling::Stage stage("torch_curvature::tile_buffers");
    return at::empty({workers_, plan_.scratch.size + extra}, options_);
  }

  /// What the threads share, or sum in.
  at::Tensor buffer(int64_t elements) const {
    if (elements == 0) return at::empty({0}, options_);
    const profiling::Stage stage("torch_curvature::tile_buffers");
    return at::empty({elements}, options_);
  }

  /// The tiles [begin, end), dealt out to all threads.
  template <typename Body>
  void run(int64_t begin, int64_t end, const at::Tensor& scratch, Body&& body) const {
    const profiling::Stage stage("torch_curvature::tiles");
    T* const memory = scratch.mutable_data_ptr<T>();
    forkJoin(workers_, [&](int64_t worker) {
      const WorkRange own(end - begin, worker, workers_);
      for (int64_t tile = begin + own.begin; tile < begin + own.end; ++tile) {
        if (stop_.requested()) return;
        const int64_t first = tile * plan_.tile;
        body(worker, tile, first, std::min(plan_.tile, batch_ - first),
             memory + worker * scratch.size(1));
      }
    });
    stop_.poll();
  }

  const Plan& plan_;
  int64_t batch_;
  int64_t begin_ = 0;
  int64_t end_;
  at::TensorOptions options_;
  const StopToken& stop_;
  int64_t workers_;
};

}  // namespace tc::fused
