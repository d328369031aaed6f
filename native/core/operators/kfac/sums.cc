#include "core/operators/kfac/sums.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/operators/kfac/positions.h"
#include "core/operators/kfac/row_graphs.h"
#include "core/profiler/stage.h"
#include "core/runtime/bytes.h"
#include "core/runtime/device.h"
#include "core/runtime/precision.h"

namespace tc {
namespace {

/// Elements of inputs at positions that are made at once.
constexpr int64_t kPositionElements = int64_t{1} << 23;

/// Terms that are added in the precision of the data: sums of more lose digits in float32, where
/// terms are alike and each is rounded the same way.
constexpr int64_t kTerms = 4096;

/// Products that an element costs that is written.
constexpr int64_t kWriting = 16;

/// Terms that are waited for, so that each element is written for many of them.
constexpr int64_t kWorthWriting = 256;

/// Calls `body` with ranges of the rows of square matrices, [groups, size, size], for whose
/// elements there are so many terms.
template <typename F>
void forEachRows(int64_t groups, int64_t size, int64_t terms, const StopToken& stop, F&& body) {
  const int64_t work = std::max<int64_t>(1, groups * std::max(kWriting, terms) * size);
  forEachChunk(size, std::max<int64_t>(1, kUninterrupted / work), stop, body);
}

/// Adds Σ_m weights_m x_m x_mᵀ for x of [m, g, d] to a sum in float64, [g, d, d].
void addOuter(at::Tensor& sum, const at::Tensor& x, const at::Tensor& weights,
              const StopToken& stop) {
  const int64_t groups = x.size(1);
  const int64_t size = x.size(2);
  const bool first = !sum.defined();
  if (first) sum = at::empty({groups, size, size}, x.options().dtype(at::kDouble));
  const at::Tensor right = x.transpose(0, 1) * weights.view({1, -1, 1});  // [g, m, d]
  const at::Tensor left = x.permute({1, 2, 0});
  forEachChunk(x.size(0), kTerms, stop, [&](int64_t from, int64_t to) {
    const int64_t terms = to - from;
    forEachRows(groups, size, terms, stop, [&](int64_t begin, int64_t end) {
      const at::Tensor product = at::bmm(left.narrow(1, begin, end - begin).narrow(2, from, terms),
                                         right.narrow(1, from, terms));
      const at::Tensor rows = sum.narrow(1, begin, end - begin);
      if (first && from == 0) {
        rows.copy_(product);
      } else {
        rows.add_(product);
      }
    });
  });
}

/// In another precision.
at::Tensor converted(const at::Tensor& sum, at::ScalarType precision, const StopToken& stop) {
  if (sum.scalar_type() == precision || sum.dim() < 3) return sum.to(precision);
  at::Tensor result = at::empty(sum.sizes(), sum.options().dtype(precision));
  forEachRows(sum.size(0), sum.size(1), 1, stop, [&](int64_t begin, int64_t end) {
    result.narrow(1, begin, end - begin).copy_(sum.narrow(1, begin, end - begin));
  });
  return result;
}

/// A sum of outer products whose terms come a few at a time.
class OuterProducts {
 public:
  /// Σ_m weights_m x_m x_mᵀ for x of [m, g, d].
  void add(const at::Tensor& x, const at::Tensor& weights, const StopToken& stop) {
    // A part of a larger tensor would keep all of it.
    const bool owns = x.storage().nbytes() < 2 * x.nbytes();
    x_.push_back(owns || x.size(0) >= kWorthWriting ? x : x.clone());
    weights_.push_back(weights);
    terms_ += x.size(0);
    if (terms_ >= kWorthWriting) addAll(stop);
  }

  /// What is added to, in float64; for what is no outer product, too.
  at::Tensor& sum() { return sum_; }

  /// All of it, given away; undefined where there was nothing.
  at::Tensor take(at::ScalarType precision, const StopToken& stop) {
    addAll(stop);
    const at::Tensor sum = std::move(sum_);
    return sum.defined() ? converted(sum, precision, stop) : sum;
  }

 private:
  /// What has been waited for.
  void addAll(const StopToken& stop) {
    if (terms_ == 0) return;
    const bool one = x_.size() == 1;
    addOuter(sum_, one ? x_.front() : at::cat(x_), one ? weights_.front() : at::cat(weights_),
             stop);
    x_.clear();
    weights_.clear();
    terms_ = 0;
  }

  at::Tensor sum_;
  std::vector<at::Tensor> x_;
  std::vector<at::Tensor> weights_;
  int64_t terms_ = 0;
};

/// FactorSums of one block while they grow.
struct BlockSums {
  OuterProducts input;
  OuterProducts output;
  double weight = 0;
};

/// Adds, taking the first term for the sum so far.
void add(at::Tensor& sum, const at::Tensor& term) {
  sum = sum.defined() ? sum.add_(term) : term.contiguous();
}

/// A sum over the positions of each row, [n, g, d] of [n, R, g, d]. Where the terms cancel it is 0
/// and not what rounding leaves of them: there is no direction in that.
class PositionSum {
 public:
  void add(const at::Tensor& x) {
    tc::add(sum_, x.sum(1));
    tc::add(sizes_, x.abs().sum(1));
  }
  bool defined() const { return sum_.defined(); }
  at::Tensor total() const {
    // Neither NaN nor infinity is below anything.
    return at::where(sum_.abs() < sizes_ * (kRoundings * epsilonOf(sum_)), 0, sum_);
  }

 private:
  /// How far off a term may be, and their sum, in units of the last place.
  static constexpr double kRoundings = 64;

  at::Tensor sum_;
  at::Tensor sizes_;
};

/// Which positions of an embedding count, [n, R]: those with a gradient.
at::Tensor countedPositions(const LayerUse& use, const at::Tensor& indices,
                            const at::TensorOptions& options) {
  return (indices != use.paddingIndex).to(options.dtype());
}

/// Sums for one layer over the rows of a graph.
class LayerSums {
 public:
  LayerSums(const KroneckerLayer& layer, const Block& block, Sharing sharing, size_t firstTap,
            const RowGraph& graph, const at::Tensor& weights, BlockSums& sums)
      : layer_(layer),
        block_(block),
        sharing_(sharing),
        firstTap_(firstTap),
        graph_(graph),
        weights_(weights),
        sums_(sums) {}

  void addInputs(const StopToken& stop) {
    if (sharing_ == Sharing::kReduce) {
      sums_.weight += weights_.sum().item<double>();
      sums_.input.add(meanInput(), weights_, stop);
      return;
    }
    for (size_t i = 0; i < layer_.uses.size(); ++i) {
      if (layer_.uses[i].kind == LayerUse::Kind::kEmbedding) {
        addIndices(i);
      } else {
        addPositions(i, stop);
      }
    }
  }

  /// `gradients` are those by the layer's results, in the order of the uses.
  void addOutputs(const std::vector<at::Tensor>& gradients, const at::Tensor& q,
                  const StopToken& stop) {
    PositionSum summed;
    for (size_t i = 0; i < layer_.uses.size(); ++i) {
      if (!gradients[firstTap_ + i].defined()) continue;
      at::Tensor g = outputPositions(layer_.uses[i], gradients[firstTap_ + i]);
      if (layer_.uses[i].kind == LayerUse::Kind::kEmbedding) {
        const at::Tensor counted = countedPositions(layer_.uses[i], indices(i), g.options());
        g = g * counted.unsqueeze(2).unsqueeze(3);
      }
      if (sharing_ == Sharing::kReduce) {
        summed.add(g);
      } else {
        sums_.output.add(g.flatten(0, 1), q.repeat_interleave(g.size(1)), stop);
      }
    }
    if (summed.defined()) sums_.output.add(summed.total(), q, stop);
  }

 private:
  const at::Tensor& argument(size_t i) const { return graph_.argument(firstTap_ + i); }
  at::Tensor indices(size_t i) const {
    return inputPositions(layer_.uses[i], argument(i), /*bias=*/false);
  }
  int64_t inputs() const { return layer_.uses.front().inputFirst ? block_.rows : block_.cols; }

  /// Σ over positions of the inputs, each row divided by its number of positions, [n, g, d].
  at::Tensor meanInput() const {
    PositionSum sum;
    at::Tensor count = at::zeros_like(weights_);
    for (size_t i = 0; i < layer_.uses.size(); ++i) {
      if (layer_.uses[i].kind == LayerUse::Kind::kEmbedding) {
        const at::Tensor places = indices(i);
        const at::Tensor counted = countedPositions(layer_.uses[i], places, weights_.options());
        at::Tensor occurrences = at::zeros({places.size(0), inputs()}, weights_.options());
        occurrences.scatter_add_(1, places, counted);
        sum.add(occurrences.view({places.size(0), 1, 1, inputs()}));
        count.add_(counted.sum(1));
      } else {
        const at::Tensor a = inputPositions(layer_.uses[i], argument(i), block_.bias.has_value());
        sum.add(a);
        count.add_(static_cast<double>(a.size(1)));
      }
    }
    return sum.total() / count.clamp_min(1).view({-1, 1, 1});
  }

  void addIndices(size_t i) {
    const at::Tensor places = indices(i);
    const at::Tensor weights =
        countedPositions(layer_.uses[i], places, weights_.options()) * weights_.unsqueeze(1);
    const auto wide = weights_.options().dtype(at::kDouble);
    at::Tensor& sum = sums_.input.sum();
    if (!sum.defined()) sum = at::zeros({1, inputs()}, wide);
    sum.select(0, 0).index_add_(0, places.flatten(), weights.flatten().to(wide));
    sums_.weight += weights.sum().item<double>();
  }

  void addPositions(size_t i, const StopToken& stop) {
    const LayerUse& use = layer_.uses[i];
    const int64_t rows = kPositionElements / std::max<int64_t>(1, inputElements(use, argument(i)));
    forEachChunk(weights_.size(0), std::max<int64_t>(1, rows), stop,
                 [&](int64_t begin, int64_t end) {
                   const at::Tensor a = inputPositions(
                       use, argument(i).narrow(0, begin, end - begin), block_.bias.has_value());
                   const at::Tensor w = weights_.narrow(0, begin, end - begin);
                   sums_.input.add(a.flatten(0, 1), w.repeat_interleave(a.size(1)), stop);
                   sums_.weight += w.sum().item<double>() * static_cast<double>(a.size(1));
                 });
  }

  const KroneckerLayer& layer_;
  const Block& block_;
  Sharing sharing_;
  size_t firstTap_;
  const RowGraph& graph_;
  const at::Tensor& weights_;
  BlockSums& sums_;
};

/// Sums of a parameter that no layer covers.
void addOther(const at::Tensor& gradient, const at::Tensor& q, Others others, BlockSums& sums,
              const StopToken& stop) {
  const int64_t rows = gradient.size(0);
  const at::Tensor g = gradient.reshape({rows, gradient.numel() / rows});
  if (others == Others::kDiagonal) {
    forEachChunk(g.size(0), kTerms, stop, [&](int64_t begin, int64_t end) {
      const at::Tensor some = g.narrow(0, begin, end - begin);
      const at::Tensor term = at::matmul(q.narrow(0, begin, end - begin), some * some);
      add(sums.output.sum(), term.unsqueeze(1).to(at::kDouble));
    });
  } else {
    sums.output.add(g.unsqueeze(1), q, stop);
  }
}

void requireFactors(const Point& point, const Plan& plan) {
  int64_t elements = 0;
  const auto count = [&](int64_t groups, int64_t size, bool full) {
    elements = sumOf(elements, countOf(groups, size, full ? size : 1));
  };
  for (size_t i = 0; i < plan.blocks.size(); ++i) {
    const Block& block = plan.blocks[i];
    const bool embeds = i < plan.layers.layers.size() &&
                        plan.layers.layers[i].uses.front().kind == LayerUse::Kind::kEmbedding;
    count(block.groups, block.rows, !(embeds && plan.sharing == Sharing::kExpand));
    count(block.groups, block.cols, true);
  }
  requireMemory(point.params.device(), countOf(elements, at::elementSize(at::kDouble)),
                "the Kronecker factors");
}

}  // namespace

std::vector<FactorSums> factorSums(const Point& point, const Plan& plan,
                                   const OutputGradients& gradients, int64_t chunkSize,
                                   const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::kronecker_factors");
  stage.describes(point.params.numel(), point.batch(), "autograd");
  requireFactors(point, plan);
  RowGraph::Sources sources;
  std::vector<size_t> firstTap;
  for (const KroneckerLayer& layer : plan.layers.layers) {
    firstTap.push_back(sources.taps.size());
    for (const LayerUse& use : layer.uses) sources.taps.push_back({use.node, use.input});
  }
  for (const UncoveredParameter& each : plan.layers.uncovered)
    sources.parameters.push_back(each.parameter);
  const int64_t most = plan.layers.uncovered.empty()
                           ? kVmapRows
                           : kGradientBytes / static_cast<int64_t>(point.params.nbytes() + 1);
  std::vector<BlockSums> all(plan.blocks.size());
  forEachGraph(point, sources, gradients, chunkSize, most, stop,
               [&](RowGraph& graph, const at::Tensor& y, int64_t begin) {
                 const at::Tensor weights = gradients.rowWeights(y, begin);
                 std::vector<LayerSums> layers;
                 for (size_t i = 0; i < plan.layers.layers.size(); ++i) {
                   layers.emplace_back(plan.layers.layers[i], plan.blocks[i], plan.sharing,
                                       firstTap[i], graph, weights, all[i]);
                   stop.poll();
                   layers.back().addInputs(stop);
                 }
                 gradients.forEach(
                     y, begin,
                     [&](const at::Tensor& u, const at::Tensor& q) {
                       const std::vector<at::Tensor> found = graph.gradients(u);
                       for (LayerSums& layer : layers) {
                         layer.addOutputs(found, q, stop);
                       }
                       for (size_t i = 0; i < plan.layers.uncovered.size(); ++i) {
                         const at::Tensor& gradient = found[sources.taps.size() + i];
                         if (gradient.defined())
                           addOther(gradient, q, plan.others, all[layers.size() + i], stop);
                       }
                     },
                     stop);
               });
  std::vector<FactorSums> sums;
  sums.reserve(all.size());
  const at::ScalarType precision = point.params.scalar_type();
  for (BlockSums& each : all)
    sums.push_back(
        {each.input.take(precision, stop), each.output.take(precision, stop), each.weight});
  return sums;
}

}  // namespace tc
