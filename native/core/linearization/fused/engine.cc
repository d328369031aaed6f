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
#include "core/linearization/fused/recognize.h"
#include "core/linearization/fused/tile.h"
#include "core/linearization/fused/tiles.h"
#include "core/linearization/once.h"
#include "core/linearization/rows.h"
#include "core/profiler/stage.h"
#include "core/program/program.h"
#include "core/runtime/error.h"
#include "core/runtime/lazy.h"
#include "core/runtime/sum.h"

namespace tc {
namespace {

using fused::Chain;
using fused::Plan;
using fused::Tiles;

/// What the layers below the cut of a linearization may keep.
constexpr int64_t kDirectBytes = int64_t{256} << 20;

/// Vectors up to this size are near enough when each tile reads them anew.
constexpr int64_t kNearBytes = int64_t{512} << 10;

/// What the threads' sums may take for several vectors at once.
constexpr int64_t kSumBytes = int64_t{256} << 20;

/// What factors of C are made at once for the diagonal of JᵀCJ, if those of a tile for each thread
/// take no more.
constexpr int64_t kFactorBytes = int64_t{64} << 20;

using Recognized = std::shared_ptr<const fused::Recognition>;

/// Rows of a chain are independent: a program for a fixed batch is one where it is for that batch.
Recognized recognizeChain(const Point& point) {
  auto shape = point.inputs.front().sizes().vec();
  if (fixedBatch(point) > 0) shape[0] = fixedBatch(point);
  return point.program->findings().get<fused::Recognition>(
      shape, [&] { return fused::recognize(*point.program, shape); });
}

Recognized recognize(const Point& point) {
  const auto no = [](const char* reason) {
    return std::make_shared<const fused::Recognition>(fused::Recognition{std::nullopt, reason});
  };
  if (!point.params.device().is_cpu()) return no("it runs on the CPU only");
  const auto dtype = point.params.scalar_type();
  if (dtype != at::kFloat && dtype != at::kDouble) return no("it computes in float32 or float64");
  if (point.inputs.size() != 1) return no("the model has several inputs");
  if (point.inputs.front().scalar_type() != dtype) return no("the input is of another type");
  return recognizeChain(point);
}

std::shared_ptr<const Chain> chainOf(const Recognized& found) {
  if (!found->chain)
    throw Error("ERR_UNSUPPORTED_OP", "the fused engine cannot run this model: " + found->reason);
  return {found, &*found->chain};
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

/// Jᵀ(J v) in one pass.
template <typename T>
at::Tensor matvec(const Point& point, const Chain& chain, const at::Tensor& v,
                  const StopToken& stop) {
  const auto& kernels = fused::kernels<T>();
  const auto load = workload(point, point.batch(), /*products=*/1, kernels.lanes,
                             std::numeric_limits<int64_t>::max());
  const Plan plan = fused::makePlan(chain, load, fused::chooseCut(chain, load));
  const at::Tensor params = readable(point.params);
  const at::Tensor tangent = readable(v);
  const at::Tensor inputs = readable(point.inputs.front());
  const T* const direction = tangent.const_data_ptr<T>();
  const T* const x = inputs.const_data_ptr<T>();
  const fused::TileProgram<T> program(plan, kernels, params.const_data_ptr<T>());
  return Tiles<T>(plan, point.batch(), params.options(), stop)
      .sum(program, plan.kept.size, params.numel(),
           [&](int64_t, int64_t first, int64_t n, T* scratch,
               const typename fused::TileProgram<T>::Target& target) {
             T* const kept = scratch + plan.scratch.size;
             program.prepare(x + first * chain.width(0), n, kept, scratch, stop);
             program.pushPull(direction, n, kept, scratch, target, stop);
           });
}

/// Rows [begin, end) of J.
template <typename T>
void jacobian(const Point& point, const Chain& chain, int64_t begin, int64_t end,
              const at::Tensor& out, const StopToken& stop) {
  const auto& kernels = fused::kernels<T>();
  const int64_t batch = end - begin;
  const auto load = workload(point, batch, 1, kernels.lanes, 0);
  const Plan plan = fused::makePlan(chain, load, /*cut=*/chain.size());
  const at::Tensor params = readable(point.params);
  const at::Tensor inputs = readable(point.inputs.front().narrow(0, begin, batch));
  const T* const x = inputs.const_data_ptr<T>();
  T* const rows = out.mutable_data_ptr<T>();
  const fused::TileProgram<T> program(plan, kernels, params.const_data_ptr<T>());
  Tiles<T>(plan, batch, params.options(), stop)
      .run(plan.kept.size, [&](int64_t, int64_t, int64_t first, int64_t n, T* scratch) {
        T* const kept = scratch + plan.scratch.size;
        program.prepare(x + first * chain.width(0), n, kept, scratch, stop);
        program.jacobian(n, kept, scratch, params.numel(),
                         rows + first * chain.outputs() * params.numel(), stop);
      });
}

template <typename T>
class FusedLinearization final : public Linearization {
  using Target = typename fused::TileProgram<T>::Target;

 public:
  FusedLinearization(const Point& point, const Chain& chain, int64_t products,
                     const StopToken& stop)
      : point_(point),
        kernels_(fused::kernels<T>()),
        batch_(point.batch()),
        params_(at::empty_like(point.params).copy_(point.params)),
        plan_(makePlan(point, chain, products)),
        program_(plan_, kernels_, params_.const_data_ptr<T>()) {
    kept_ = keptMemory();
    output_ = emptyOutput();
    const at::Tensor inputs = readable(point.inputs.front());
    const T* const x = inputs.const_data_ptr<T>();
    T* const y = output_.mutable_data_ptr<T>();
    const int64_t width = plan_.chain.width(0);
    tiles(stop).run(0, [&](int64_t, int64_t tile, int64_t first, int64_t n, T* scratch) {
      T* const kept = kept_.mutable_data_ptr<T>() + tile * plan_.kept.size;
      program_.prepare(x + first * width, n, kept, scratch, stop);
      program_.toRows(outputs(), n, kept + plan_.kept.output, y + first * outputs());
    });
  }

  const at::Tensor& output() const override { return output_; }

  at::Tensor jvp(const at::Tensor& v, const StopToken& stop) override {
    const at::Tensor tangent = readable(v);
    const T* const direction = tangent.const_data_ptr<T>();
    at::Tensor result = emptyOutput();
    T* const dy = result.mutable_data_ptr<T>();
    tiles(stop).run(0, [&](int64_t, int64_t tile, int64_t first, int64_t n, T* scratch) {
      program_.push(direction, n, kept(tile), scratch, stop);
      program_.toRows(outputs(), n, scratch + plan_.scratch.tangent, dy + first * outputs());
    });
    return result;
  }

  at::Tensor vjp(const at::Tensor& u, const StopToken& stop) override {
    const at::Tensor cotangent = readable(u);
    const T* const weights = cotangent.const_data_ptr<T>();
    return tiles(stop).sum(
        program_, 0, params_.numel(),
        [&](int64_t tile, int64_t first, int64_t n, T* scratch, const Target& target) {
          program_.toColumns(outputs(), n, weights + first * outputs(),
                             scratch + plan_.scratch.cotangent);
          program_.pull(n, kept(tile), scratch, target, stop);
        });
  }

  at::Tensor matvec(const at::Tensor& v, const StopToken& stop) override {
    const at::Tensor tangent = readable(v);
    const T* const direction = tangent.const_data_ptr<T>();
    return tiles(stop).sum(program_, 0, params_.numel(),
                           [&](int64_t tile, int64_t, int64_t n, T* scratch, const Target& target) {
                             program_.pushPull(direction, n, kept(tile), scratch, target, stop);
                           });
  }

  at::Tensor jvps(const at::Tensor& vectors, const StopToken& stop) override {
    if (!takesManyAtOnce()) return Linearization::jvps(vectors, stop);
    const at::Tensor tangents = readable(vectors);
    const T* const directions = tangents.const_data_ptr<T>();
    const int64_t count = vectors.size(0);
    auto shape = output_.sizes().vec();
    shape.insert(shape.begin(), count);
    at::Tensor results = at::empty(shape, params_.options());
    T* const dy = results.mutable_data_ptr<T>();
    tiles(stop).run(0, [&](int64_t, int64_t tile, int64_t first, int64_t n, T* scratch) {
      for (int64_t i = 0; i < count; ++i) {
        program_.push(directions + i * params_.numel(), n, kept(tile), scratch, stop);
        program_.toRows(outputs(), n, scratch + plan_.scratch.tangent,
                        dy + (i * batch_ + first) * outputs());
      }
    });
    return results;
  }

  at::Tensor vjps(const at::Tensor& cotangents, const StopToken& stop) override {
    if (!takesManyAtOnce()) return Linearization::vjps(cotangents, stop);
    const at::Tensor given = readable(cotangents);
    const T* const weights = given.const_data_ptr<T>();
    return sums(
        cotangents.size(0), stop,
        [&](int64_t i, int64_t tile, int64_t first, int64_t n, T* scratch, const Target& target) {
          program_.toColumns(outputs(), n, weights + (i * batch_ + first) * outputs(),
                             scratch + plan_.scratch.cotangent);
          program_.pull(n, kept(tile), scratch, target, stop);
        });
  }

  at::Tensor matmat(const at::Tensor& vectors, const StopToken& stop) override {
    if (!takesManyAtOnce()) return Linearization::matmat(vectors, stop);
    const at::Tensor tangents = readable(vectors);
    const T* const directions = tangents.const_data_ptr<T>();
    return sums(vectors.size(0), stop,
                [&](int64_t i, int64_t tile, int64_t, int64_t n, T* scratch, const Target& target) {
                  program_.pushPull(directions + i * params_.numel(), n, kept(tile), scratch,
                                    target, stop);
                });
  }

  std::optional<at::Tensor> diagonal(const RowFactorsOf& factors, const StopToken& stop) override {
    if (plan_.chain.sharesParameters()) return std::nullopt;
    const int64_t atOnce = tilesOfFactors(factors);
    if (atOnce == 0) return std::nullopt;
    const fused::DiagonalLayout layout = fused::diagonalLayout(plan_);
    Sum sum;
    for (int64_t begin = 0; begin < plan_.tiles; begin += atOnce) {
      const int64_t end = std::min(plan_.tiles, begin + atOnce);
      const int64_t start = begin * plan_.tile;
      const RowFactors some = factors.make(start, std::min(batch_, end * plan_.tile));
      const at::Tensor vectors = readable(some.vectors);
      const at::Tensor weights = readable(some.weights);
      const at::Tensor part =
          tiles(stop)
              .part(begin, end)
              .sum(program_, layout.size, params_.numel(),
                   [&](int64_t tile, int64_t first, int64_t n, T* scratch, const Target& target) {
                     const int64_t at = first - start;
                     program_.diagonal({weights.size(0), weights.size(1),
                                        vectors.const_data_ptr<T>() + at * outputs(),
                                        weights.const_data_ptr<T>() + at},
                                       n, kept(tile), scratch, scratch + plan_.scratch.size, layout,
                                       target, stop);
                   });
      sum.add(part);
    }
    return sum.totalLike(params_);
  }

  void jacobian(int64_t begin, int64_t end, const at::Tensor& out, const StopToken& stop) override {
    tc::jacobian<T>(point_, plan_.chain, begin, end, out, stop);
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
    return at::empty({plan_.tiles * plan_.kept.size}, params_.options());
  }
  Tiles<T> tiles(const StopToken& stop) const { return {plan_, batch_, params_.options(), stop}; }
  /// Whether a tile takes all of several vectors before the next tile's turn, while what it keeps
  /// is in the cache. Large vectors had better stay there themselves; and where rows are shared,
  /// the memory that threads share is for one vector.
  bool takesManyAtOnce() const {
    return !plan_.sharesRows() && static_cast<int64_t>(params_.nbytes()) <= kNearBytes;
  }
  /// Jᵀu for each of `count` vectors, [count, P], of which body(i, tile, first sample, samples,
  /// scratch, target) makes a tile's part of the i-th.
  template <typename Body>
  at::Tensor sums(int64_t count, const StopToken& stop, Body&& body) const {
    const int64_t length = params_.numel();
    const auto some = [&](int64_t begin, int64_t end) {
      return tiles(stop)
          .sum(program_, 0, (end - begin) * length,
               [&](int64_t tile, int64_t first, int64_t n, T* scratch, const Target& target) {
                 for (int64_t i = begin; i < end; ++i) {
                   T* const gradient = target.gradient + (i - begin) * length;
                   body(i, tile, first, n, scratch, Target{gradient, nullptr, target.first});
                 }
               })
          .view({end - begin, length});
    };
    const int64_t bytesOfVector = static_cast<int64_t>(params_.nbytes()) * at::get_num_threads();
    const int64_t atOnce = std::max<int64_t>(1, kSumBytes / std::max<int64_t>(1, bytesOfVector));
    if (count <= atOnce) return some(0, count);
    at::Tensor all = at::empty({count, length}, params_.options());
    forEachChunk(count, atOnce, stop, [&](int64_t begin, int64_t end) {
      all.narrow(0, begin, end - begin).copy_(some(begin, end));
    });
    return all;
  }
  const T* kept(int64_t tile) const { return kept_.const_data_ptr<T>() + tile * plan_.kept.size; }
  int64_t outputs() const { return plan_.chain.outputs(); }
  /// Tiles whose factors are made at once: some for each thread, or less than one where they are
  /// large; 0 where those of a single tile are too large.
  int64_t tilesOfFactors(const RowFactorsOf& factors) const {
    const int64_t threads = at::get_num_threads();
    const auto fitting = [&](int64_t bytes) {
      return factors.fitting(bytes, std::min(plan_.tile, batch_),
                             outputs() * params_.element_size());
    };
    return std::max(fitting(kFactorBytes) / threads * threads,
                    std::min(threads, fitting(RowFactorsOf::kMostBytes)));
  }
  at::Tensor emptyOutput() const {
    std::vector<int64_t> shape{batch_};
    shape.insert(shape.end(), plan_.chain.outputShape.begin(), plan_.chain.outputShape.end());
    return at::empty(shape, params_.options());
  }

  Point point_;  ///< for rows of J, which nothing that is kept serves
  const fused::Kernels<T>& kernels_;
  int64_t batch_;
  at::Tensor params_;
  Plan plan_;
  fused::TileProgram<T> program_;
  at::Tensor kept_;
  at::Tensor output_;
};

template <typename T>
class FusedOnce final : public Once {
 public:
  FusedOnce(const Point& point, std::shared_ptr<const Chain> chain)
      : Once(point), chain_(std::move(chain)) {}

  at::Tensor matvec(const at::Tensor& v, const StopToken& stop) override {
    return tc::matvec<T>(point(), *chain_, v, stop);
  }
  void jacobian(int64_t begin, int64_t end, const at::Tensor& out, const StopToken& stop) override {
    tc::jacobian<T>(point(), *chain_, begin, end, out, stop);
  }
  const char* engine() const override { return "fused"; }

 protected:
  std::unique_ptr<Linearization> keep(const StopToken& stop) const override {
    return linearizeFused(point(), /*products=*/1, stop);
  }

 private:
  std::shared_ptr<const Chain> chain_;
};

}  // namespace

std::string fusedObstacle(const Point& point) { return recognize(point)->reason; }

bool isChain(const Point& point) { return recognizeChain(point)->chain.has_value(); }

std::unique_ptr<Linearization> linearizeFused(const Point& point, int64_t products,
                                              const StopToken& stop) {
  const auto chain = chainOf(recognize(point));
  if (point.params.scalar_type() == at::kFloat)
    return std::make_unique<FusedLinearization<float>>(point, *chain, products, stop);
  return std::make_unique<FusedLinearization<double>>(point, *chain, products, stop);
}

std::unique_ptr<Linearization> linearizeFusedOnce(const Point& point) {
  auto chain = chainOf(recognize(point));
  if (point.params.scalar_type() == at::kFloat)
    return std::make_unique<FusedOnce<float>>(point, std::move(chain));
  return std::make_unique<FusedOnce<double>>(point, std::move(chain));
}

}  // namespace tc
