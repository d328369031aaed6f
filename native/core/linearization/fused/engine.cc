#include "core/linearization/fused/engine.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "core/kernels/kernels.h"
#include "core/linearization/fused/layout.h"
#include "core/linearization/fused/parallel.h"
#include "core/linearization/fused/recognise.h"
#include "core/linearization/fused/tile.h"
#include "core/linearization/rows.h"
#include "core/profiler/stage.h"
#include "core/program/program.h"
#include "core/runtime/memory.h"

namespace tc {
namespace {

using fused::Chain;
using fused::Plan;
using fused::Share;

/// What the layers below the cut of a linearisation may keep.
constexpr int64_t kDirectBytes = int64_t{256} << 20;
/// Parameters from which it pays to add the threads' sums on several threads.
constexpr int64_t kParallelSum = 1 << 15;

/// Rows of a chain are independent: a program for a fixed batch is one where it is for that batch.
fused::Recognition recogniseChain(const Point& point) {
  auto shape = point.inputs.front().sizes().vec();
  if (fixedBatch(point) > 0) shape[0] = fixedBatch(point);
  return fused::recognise(*point.program, shape);
}

fused::Recognition recognise(const Point& point) {
  const auto no = [](const char* reason) { return fused::Recognition{std::nullopt, reason}; };
  if (!point.params.device().is_cpu()) return no("it runs on the CPU only");
  const auto dtype = point.params.scalar_type();
  if (dtype != at::kFloat && dtype != at::kDouble) return no("it computes in float32 or float64");
  if (point.inputs.size() != 1) return no("the model has several inputs");
  if (point.inputs.front().scalar_type() != dtype) return no("the input is of another type");
  return recogniseChain(point);
}

fused::Workload workload(const Point& point, int64_t batch, int64_t products, int64_t lanes,
                         int64_t directBytes) {
  return {batch,
          products,
          at::get_num_threads(),
          lanes,
          static_cast<int64_t>(point.params.element_size()),
          directBytes};
}

/// The tiles of a batch, dealt out to threads; each works with scratch memory of its own.
template <typename T>
class Tiles {
  using Target = typename fused::TileProgram<T>::Target;

 public:
  Tiles(const Plan& plan, int64_t batch, const at::TensorOptions& options)
      : plan_(plan),
        batch_(batch),
        options_(options),
        workers_(std::clamp<int64_t>(at::get_num_threads(), 1, std::max<int64_t>(1, plan.tiles))) {}

  /// body(worker, tile, first sample, samples, scratch) for every tile, with `extra` elements more
  /// of scratch.
  template <typename Body>
  void run(int64_t extra, Body&& body) const {
    run(0, plan_.tiles, scratchMemory(extra), body);
  }

  /// Jᵀu [parameters], where body(tile, first sample, samples, scratch, target) makes each tile's
  /// part for `target`. The order of all sums depends on the number of threads alone, so that the
  /// same number gives the same bits.
  template <typename Body>
  at::Tensor sum(const fused::TileProgram<T>& program, int64_t extra, int64_t parameters,
                 Body&& body) const {
    const at::Tensor result = preferLargePages(at::empty({parameters}, options_));
    T* const total = result.mutable_data_ptr<T>();
    const at::Tensor scratch = scratchMemory(extra);
    if (plan_.sharesRows()) {
      bool overwrites = plan_.chain.usesEachOnce(parameters);
      if (!overwrites) result.zero_();
      const at::Tensor memory = buffer(plan_.shared.size);
      T* const shared = memory.mutable_data_ptr<T>();
      for (int64_t begin = 0; begin < plan_.tiles; begin += plan_.roundTiles) {
        const int64_t end = std::min(plan_.tiles, begin + plan_.roundTiles);
        const int64_t start = begin * plan_.tile;
        run(begin, end, scratch, [&](int64_t, int64_t tile, int64_t first, int64_t n, T* own) {
          body(tile, first, n, own, Target{nullptr, shared, first - start});
        });
        const int64_t samples = std::min(batch_, end * plan_.tile) - start;
        const profiling::Stage stage("torch_curvature::shared_rows");
        fused::forkJoin(workers_, [&](int64_t worker) {
          program.pullRows(worker, workers_, samples, shared, total, overwrites);
        });
        overwrites = false;
      }
      return result;
    }
    result.zero_();
    at::Tensor others;
    if (workers_ > 1) others = buffer((workers_ - 1) * parameters);
    T* const partial = workers_ > 1 ? others.mutable_data_ptr<T>() : nullptr;
    std::vector<char> started(static_cast<size_t>(workers_) * 64);  // a cache line for each
    run(0, plan_.tiles, scratch,
        [&](int64_t worker, int64_t tile, int64_t first, int64_t n, T* own) {
          T* const gradient = worker == 0 ? total : partial + (worker - 1) * parameters;
          char& mine = started[static_cast<size_t>(worker) * 64];
          if (worker > 0 && mine == 0) std::fill_n(gradient, parameters, T(0));
          mine = 1;
          body(tile, first, n, own, Target{gradient, nullptr, first});
        });
    const int64_t adders = parameters < kParallelSum ? 1 : workers_;
    const profiling::Stage stage("torch_curvature::sum_gradients");
    fused::forkJoin(adders, [&](int64_t adder) {
      const Share share(parameters, adder, adders);
      for (int64_t worker = 1; worker < workers_; ++worker) {
        const T* const gradient = partial + (worker - 1) * parameters;
        for (int64_t i = share.begin; i < share.end; ++i) total[i] += gradient[i];
      }
    });
    return result;
  }

 private:
  at::Tensor scratchMemory(int64_t extra) const {
    const profiling::Stage stage("torch_curvature::tile_buffers");
    return preferLargePages(at::empty({workers_, plan_.scratch.size + extra}, options_));
  }

  /// What the threads share, or sum in.
  at::Tensor buffer(int64_t elements) const {
    const profiling::Stage stage("torch_curvature::tile_buffers");
    return preferLargePages(at::empty({elements}, options_));
  }

  /// The tiles [begin, end), dealt out to all threads.
  template <typename Body>
  void run(int64_t begin, int64_t end, const at::Tensor& scratch, Body&& body) const {
    const profiling::Stage stage("torch_curvature::tiles");
    T* const memory = scratch.mutable_data_ptr<T>();
    fused::forkJoin(workers_, [&](int64_t worker) {
      const Share share(end - begin, worker, workers_);
      for (int64_t tile = begin + share.begin; tile < begin + share.end; ++tile) {
        const int64_t first = tile * plan_.tile;
        body(worker, tile, first, std::min(plan_.tile, batch_ - first),
             memory + worker * scratch.size(1));
      }
    });
  }

  const Plan& plan_;
  int64_t batch_;
  at::TensorOptions options_;
  int64_t workers_;
};

template <typename T>
class FusedLinearization final : public Linearization {
  using Target = typename fused::TileProgram<T>::Target;

 public:
  FusedLinearization(const Point& point, const Chain& chain, int64_t products)
      : kernels_(fused::kernels<T>()),
        batch_(point.batch()),
        params_(preferLargePages(at::empty_like(point.params)).copy_(point.params)),
        plan_(makePlan(point, chain, products)),
        program_(plan_, kernels_, params_.const_data_ptr<T>()) {
    kept_ = keptMemory();
    output_ = emptyOutput();
    const at::Tensor inputs = point.inputs.front().contiguous();
    const T* const x = inputs.const_data_ptr<T>();
    T* const y = output_.mutable_data_ptr<T>();
    const int64_t width = plan_.chain.width(0);
    tiles().run(0, [&](int64_t, int64_t tile, int64_t first, int64_t n, T* scratch) {
      T* const kept = kept_.mutable_data_ptr<T>() + tile * plan_.kept.size;
      program_.prepare(x + first * width, n, kept, scratch);
      program_.toRows(outputs(), n, kept + plan_.kept.output, y + first * outputs());
    });
  }

  const at::Tensor& output() const override { return output_; }

  at::Tensor jvp(const at::Tensor& v) override {
    const at::Tensor tangent = v.contiguous();
    const T* const direction = tangent.const_data_ptr<T>();
    at::Tensor result = emptyOutput();
    T* const dy = result.mutable_data_ptr<T>();
    tiles().run(0, [&](int64_t, int64_t tile, int64_t first, int64_t n, T* scratch) {
      program_.push(direction, n, kept(tile), scratch);
      program_.toRows(outputs(), n, scratch + plan_.scratch.tangent, dy + first * outputs());
    });
    return result;
  }

  at::Tensor vjp(const at::Tensor& u) override {
    const at::Tensor cotangent = u.contiguous();
    const T* const weights = cotangent.const_data_ptr<T>();
    return tiles().sum(
        program_, 0, params_.numel(),
        [&](int64_t tile, int64_t first, int64_t n, T* scratch, const Target& target) {
          program_.toColumns(outputs(), n, weights + first * outputs(),
                             scratch + plan_.scratch.cotangent);
          program_.pull(n, kept(tile), scratch, target);
        });
  }

  at::Tensor matvec(const at::Tensor& v) override {
    const at::Tensor tangent = v.contiguous();
    const T* const direction = tangent.const_data_ptr<T>();
    return tiles().sum(program_, 0, params_.numel(),
                       [&](int64_t tile, int64_t, int64_t n, T* scratch, const Target& target) {
                         program_.pushPull(direction, n, kept(tile), scratch, target);
                       });
  }

  const char* engine() const override { return "fused"; }

  int64_t bytes() const override {
    return static_cast<int64_t>(kept_.nbytes() + params_.nbytes() + output_.nbytes());
  }

 private:
  Plan makePlan(const Point& point, const Chain& chain, int64_t products) const {
    const auto load = workload(point, batch_, products, kernels_.lanes, kDirectBytes);
    return fused::makePlan(chain, load, fused::chooseCut(chain, load));
  }
  at::Tensor keptMemory() const {
    const profiling::Stage stage("torch_curvature::tile_buffers");
    return preferLargePages(at::empty({plan_.tiles * plan_.kept.size}, params_.options()));
  }
  Tiles<T> tiles() const { return {plan_, batch_, params_.options()}; }
  const T* kept(int64_t tile) const { return kept_.const_data_ptr<T>() + tile * plan_.kept.size; }
  int64_t outputs() const { return plan_.chain.outputs(); }
  at::Tensor emptyOutput() const {
    std::vector<int64_t> shape{batch_};
    shape.insert(shape.end(), plan_.chain.outputShape.begin(), plan_.chain.outputShape.end());
    return at::empty(shape, params_.options());
  }

  const fused::Kernels<T>& kernels_;
  int64_t batch_;
  at::Tensor params_;
  Plan plan_;
  fused::TileProgram<T> program_;
  at::Tensor kept_;
  at::Tensor output_;
};

template <typename T>
at::Tensor matvec(const Point& point, const Chain& chain, const at::Tensor& v,
                  const StopToken& stop) {
  const auto& kernels = fused::kernels<T>();
  const auto load = workload(point, point.batch(), /*products=*/1, kernels.lanes,
                             std::numeric_limits<int64_t>::max());
  const Plan plan = fused::makePlan(chain, load, fused::chooseCut(chain, load));
  const at::Tensor params = point.params.contiguous();
  const at::Tensor tangent = v.contiguous();
  const at::Tensor inputs = point.inputs.front().contiguous();
  const T* const direction = tangent.const_data_ptr<T>();
  const T* const x = inputs.const_data_ptr<T>();
  const fused::TileProgram<T> program(plan, kernels, params.const_data_ptr<T>());
  const at::Tensor product =
      Tiles<T>(plan, point.batch(), params.options())
          .sum(program, plan.kept.size, params.numel(),
               [&](int64_t, int64_t first, int64_t n, T* scratch,
                   const typename fused::TileProgram<T>::Target& target) {
                 if (stop.requested()) return;
                 T* const kept = scratch + plan.scratch.size;
                 program.prepare(x + first * chain.width(0), n, kept, scratch);
                 program.pushPull(direction, n, kept, scratch, target);
               });
  stop.poll();
  return product;
}

template <typename T>
void jacobian(const Point& point, const Chain& chain, int64_t begin, int64_t end,
              const at::Tensor& out) {
  const auto& kernels = fused::kernels<T>();
  const int64_t batch = end - begin;
  const auto load = workload(point, batch, 1, kernels.lanes, 0);
  const Plan plan = fused::makePlan(chain, load, /*cut=*/chain.size());
  const at::Tensor params = point.params.contiguous();
  const at::Tensor inputs = point.inputs.front().narrow(0, begin, batch).contiguous();
  const T* const x = inputs.const_data_ptr<T>();
  T* const rows = out.mutable_data_ptr<T>();
  const fused::TileProgram<T> program(plan, kernels, params.const_data_ptr<T>());
  Tiles<T>(plan, batch, params.options())
      .run(plan.kept.size, [&](int64_t, int64_t, int64_t first, int64_t n, T* scratch) {
        T* const kept = scratch + plan.scratch.size;
        program.prepare(x + first * chain.width(0), n, kept, scratch);
        program.jacobian(n, kept, scratch, params.numel(),
                         rows + first * chain.outputs() * params.numel());
      });
}

}  // namespace

std::string fusedObstacle(const Point& point) { return recognise(point).reason; }

bool isChain(const Point& point) { return recogniseChain(point).chain.has_value(); }

std::unique_ptr<Linearization> linearizeFused(const Point& point, int64_t products) {
  const auto found = recognise(point);
  if (!found.chain) return nullptr;
  if (point.params.scalar_type() == at::kFloat) {
    return std::make_unique<FusedLinearization<float>>(point, *found.chain, products);
  }
  return std::make_unique<FusedLinearization<double>>(point, *found.chain, products);
}

std::optional<at::Tensor> fusedMatvec(const Point& point, const at::Tensor& v,
                                      const StopToken& stop) {
  const auto found = recognise(point);
  if (!found.chain) return std::nullopt;
  return point.params.scalar_type() == at::kFloat ? matvec<float>(point, *found.chain, v, stop)
                                                  : matvec<double>(point, *found.chain, v, stop);
}

bool fusedJacobian(const Point& point, int64_t begin, int64_t end, const at::Tensor& out) {
  const auto found = recognise(point);
  if (!found.chain) return false;
  if (point.params.scalar_type() == at::kFloat) {
    jacobian<float>(point, *found.chain, begin, end, out);
  } else {
    jacobian<double>(point, *found.chain, begin, end, out);
  }
  return true;
}

}  // namespace tc
