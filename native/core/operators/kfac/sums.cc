#include "core/operators/kfac/sums.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "core/linearization/autograd/row_graph.h"
#include "core/linearization/row_work.h"
#include "core/linearization/rows.h"
#include "core/operators/kfac/factor.h"
#include "core/operators/kfac/positions.h"
#include "core/profiler/stage.h"
#include "core/program/program.h"
#include "core/runtime/device.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// Rows that one vmap takes, as for Jacobians of rows.
constexpr int64_t kVmapRows = 512;
/// Elements of inputs at positions, and bytes of gradients of rows, that are made at once.
constexpr int64_t kPositionElements = int64_t{1} << 23;
constexpr int64_t kGradientBytes = int64_t{64} << 20;

/// Graphs of the rows of a chunk: of all of them, or where an operator is unknown to vmap, of one
/// after another.
class RowGraphs {
 public:
  RowGraphs(const Point& point, RowGraph::Sources sources)
      : point_(point), sources_(std::move(sources)) {}

  using Body = std::function<void(RowGraph& graph, const at::Tensor& y, int64_t begin)>;

  /// y are the outputs of rows from `begin` on.
  void forEach(const at::Tensor& y, int64_t begin, const StopToken& stop, const Body& body) {
    const int64_t end = begin + y.size(0);
    if (y.size(0) > 1 && !tried_) {
      together_ = worksTogether(y, begin);
      tried_ = true;
    }
    if (together_ && y.size(0) > 1) {
      RowGraph graph(point_, begin, end, sources_, /*together=*/true);
      body(graph, y, begin);
      return;
    }
    for (int64_t row = begin; row < end; ++row) {
      stop.poll();
      RowGraph graph(point_, row, row + 1, sources_, /*together=*/false);
      body(graph, y.narrow(0, row - begin, 1), row);
    }
  }

 private:
  /// libtorch has no error of its own for an operator that vmap does not know.
  bool worksTogether(const at::Tensor& y, int64_t begin) const {
    try {
      RowGraph graph(point_, begin, begin + 2, sources_, /*together=*/true);
      graph.gradients(at::zeros_like(y.narrow(0, 0, 2), at::MemoryFormat::Contiguous));
      return true;
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const c10::Error&) {
      return false;
    }
  }

  const Point& point_;
  RowGraph::Sources sources_;
  bool together_ = true;
  bool tried_ = false;
};

/// Calls `body` with graphs of all rows, some at a time.
void forEachGraph(const Point& point, const RowGraph::Sources& sources,
                  const OutputGradients& gradients, int64_t chunkSize, int64_t most,
                  const StopToken& stop, const RowGraphs::Body& body) {
  if (point.batch() == 0) return;
  const StopScope scope(stop);
  const int64_t wanted = chunkSize > 0 ? chunkSize : rowsWithinWork(point);
  const int64_t hessians = gradients.rowsAtOnce(outputLike(point));
  const int64_t rows = std::max<int64_t>(1, std::min({wanted, most, hessians, kVmapRows}));
  RowGraphs graphs(point, sources);
  forEachChunk(point.batch(), rows, stop, [&](int64_t begin, int64_t end) {
    at::Tensor y;
    {
      const c10::NoGradGuard noGradients;
      y = point.program->run(point.program->unflatten(point.params),
                             tc::rows(point.inputs, begin, end), point.constants);
      requireBatchFirst(y, end - begin);
    }
    graphs.forEach(y, begin, stop, body);
  });
}

/// Σ_m weights_m x_m x_mᵀ for x of [m, g, d]: [g, d, d].
at::Tensor outer(const at::Tensor& x, const at::Tensor& weights) {
  const at::Tensor byGroup = x.transpose(0, 1);
  return at::bmm(byGroup.transpose(1, 2), byGroup * weights.view({1, -1, 1}));
}

/// Adds, taking the first term for the sum so far.
void add(at::Tensor& sum, const at::Tensor& term) {
  sum = sum.defined() ? sum.add_(term) : term.contiguous();
}

/// Which positions of an embedding count, [n, R]: those with a gradient.
at::Tensor countedPositions(const LayerUse& use, const at::Tensor& indices,
                            const at::TensorOptions& options) {
  return (indices != use.paddingIndex).to(options.dtype());
}

/// Sums for one layer over the rows of a graph.
class LayerSums {
 public:
  LayerSums(const KroneckerLayer& layer, const Block& block, Sharing sharing, size_t firstTap,
            const RowGraph& graph, const at::Tensor& weights, FactorSums& sums)
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
      add(sums_.input, outer(meanInput(), weights_));
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
  void addOutputs(const std::vector<at::Tensor>& gradients, const at::Tensor& q) {
    at::Tensor summed;
    for (size_t i = 0; i < layer_.uses.size(); ++i) {
      if (!gradients[firstTap_ + i].defined()) continue;
      at::Tensor g = outputPositions(layer_.uses[i], gradients[firstTap_ + i]);
      if (layer_.uses[i].kind == LayerUse::Kind::kEmbedding) {
        const at::Tensor counted = countedPositions(layer_.uses[i], indices(i), g.options());
        g = g * counted.unsqueeze(2).unsqueeze(3);
      }
      if (sharing_ == Sharing::kReduce) {
        add(summed, g.sum(1));
      } else {
        add(sums_.output, outer(g.flatten(0, 1), q.repeat_interleave(g.size(1))));
      }
    }
    if (summed.defined()) add(sums_.output, outer(summed, q));
  }

 private:
  const at::Tensor& argument(size_t i) const { return graph_.argument(firstTap_ + i); }
  at::Tensor indices(size_t i) const {
    return inputPositions(layer_.uses[i], argument(i), /*bias=*/false);
  }
  int64_t inputs() const { return layer_.uses.front().inputFirst ? block_.rows : block_.cols; }

  /// Σ over positions of the inputs, each row divided by its number of positions, [n, g, d].
  at::Tensor meanInput() const {
    at::Tensor sum;
    at::Tensor count = at::zeros_like(weights_);
    for (size_t i = 0; i < layer_.uses.size(); ++i) {
      if (layer_.uses[i].kind == LayerUse::Kind::kEmbedding) {
        const at::Tensor places = indices(i);
        const at::Tensor counted = countedPositions(layer_.uses[i], places, weights_.options());
        at::Tensor occurrences = at::zeros({places.size(0), inputs()}, weights_.options());
        occurrences.scatter_add_(1, places, counted);
        add(sum, occurrences.unsqueeze(1));
        count.add_(counted.sum(1));
      } else {
        const at::Tensor a = inputPositions(layer_.uses[i], argument(i), block_.bias.has_value());
        add(sum, a.sum(1));
        count.add_(static_cast<double>(a.size(1)));
      }
    }
    return sum / count.clamp_min(1).view({-1, 1, 1});
  }

  void addIndices(size_t i) {
    const at::Tensor places = indices(i);
    const at::Tensor weights =
        countedPositions(layer_.uses[i], places, weights_.options()) * weights_.unsqueeze(1);
    if (!sums_.input.defined()) sums_.input = at::zeros({1, inputs()}, weights_.options());
    sums_.input.select(0, 0).index_add_(0, places.flatten(), weights.flatten());
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
                   add(sums_.input, outer(a.flatten(0, 1), w.repeat_interleave(a.size(1))));
                   sums_.weight += w.sum().item<double>() * static_cast<double>(a.size(1));
                 });
  }

  const KroneckerLayer& layer_;
  const Block& block_;
  Sharing sharing_;
  size_t firstTap_;
  const RowGraph& graph_;
  const at::Tensor& weights_;
  FactorSums& sums_;
};

/// Sums of a parameter that no layer covers.
void addOther(const at::Tensor& gradient, const at::Tensor& q, Others others, FactorSums& sums) {
  const at::Tensor g = gradient.flatten(1);  // [n, p]
  if (others == Others::kDiagonal) {
    add(sums.output, at::matmul(q, g * g).unsqueeze(1));
  } else {
    add(sums.output, outer(g.unsqueeze(1), q));
  }
}

void requireFactors(const Point& point, const Plan& plan) {
  int64_t elements = 0;
  bool overflow = false;
  const auto count = [&](int64_t groups, int64_t size, bool full) {
    int64_t each = size;
    overflow |= full && __builtin_mul_overflow(size, size, &each);
    overflow |= __builtin_mul_overflow(each, groups, &each);
    overflow |= __builtin_add_overflow(elements, each, &elements);
  };
  for (size_t i = 0; i < plan.blocks.size(); ++i) {
    const Block& block = plan.blocks[i];
    const bool embeds = i < plan.layers.layers.size() &&
                        plan.layers.layers[i].uses.front().kind == LayerUse::Kind::kEmbedding;
    count(block.groups, block.rows, !(embeds && plan.sharing == Sharing::kExpand));
    count(block.groups, block.cols, true);
  }
  int64_t bytes = 0;
  overflow |= __builtin_mul_overflow(elements, point.params.element_size(), &bytes);
  requireMemory(point.params.device(), overflow ? -1 : bytes, "the Kronecker factors");
}

std::string shown(const Program& program, const std::vector<UncoveredParameter>& uncovered) {
  std::string text;
  constexpr size_t kShown = 4;
  for (size_t i = 0; i < std::min(kShown, uncovered.size()); ++i) {
    text += (i > 0 ? ", " : "") + program.parameters()[uncovered[i].parameter].name + " (" +
            uncovered[i].reason + ")";
  }
  if (uncovered.size() > kShown)
    text += " and " + std::to_string(uncovered.size() - kShown) + " more";
  return text;
}

Block layerBlock(const Program& program, const KroneckerLayer& layer) {
  const Program::Parameter& weight = program.parameters()[layer.weight];
  const LayerUse& use = layer.uses.front();
  Block block;
  block.layer = true;
  block.groups = use.groups;
  block.rows = weight.shape.front() / use.groups;
  block.cols = c10::multiply_integers(weight.shape.begin() + 1, weight.shape.end());
  block.weight = weight.offset;
  if (layer.bias) {
    block.bias = program.parameters()[*layer.bias].offset;
    block.biasIsRow = use.inputFirst;
    (use.inputFirst ? block.rows : block.cols) += 1;
  }
  return block;
}

}  // namespace

Plan planOf(const Program& program, Sharing sharing, Others others) {
  Plan plan{findLayers(program), sharing, others, {}};
  if (others == Others::kRefuse && !plan.layers.uncovered.empty()) {
    throw Error("ERR_UNSUPPORTED_OP",
                "Kronecker factors are of linear, convolution and embedding layers, and these "
                "parameters are used otherwise: " +
                    shown(program, plan.layers.uncovered) +
                    "; { others: 'diagonal' } takes the diagonal for them, { others: 'block' } "
                    "the exact block of each");
  }
  for (const KroneckerLayer& layer : plan.layers.layers)
    plan.blocks.push_back(layerBlock(program, layer));
  const auto other = [&](size_t parameter, bool full) {
    const Program::Parameter& each = program.parameters()[parameter];
    Block block;
    (full ? block.cols : block.groups) = each.length;
    block.weight = each.offset;
    plan.blocks.push_back(block);
  };
  for (const UncoveredParameter& each : plan.layers.uncovered)
    other(each.parameter, others == Others::kBlock);
  for (const size_t parameter : plan.layers.unused) other(parameter, false);
  return plan;
}

std::vector<FactorSums> factorSums(const Point& point, const Plan& plan,
                                   const OutputGradients& gradients, int64_t chunkSize,
                                   const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::kronecker_factors");
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
  std::vector<FactorSums> sums(plan.blocks.size());
  forEachGraph(point, sources, gradients, chunkSize, most, stop,
               [&](RowGraph& graph, const at::Tensor& y, int64_t begin) {
                 const at::Tensor weights = gradients.rowWeights(y, begin);
                 std::vector<LayerSums> layers;
                 for (size_t i = 0; i < plan.layers.layers.size(); ++i) {
                   layers.emplace_back(plan.layers.layers[i], plan.blocks[i], plan.sharing,
                                       firstTap[i], graph, weights, sums[i]);
                   stop.poll();
                   layers.back().addInputs(stop);
                 }
                 gradients.forEach(
                     y, begin,
                     [&](const at::Tensor& u, const at::Tensor& q) {
                       const std::vector<at::Tensor> found = graph.gradients(u);
                       for (LayerSums& layer : layers) {
                         stop.poll();
                         layer.addOutputs(found, q);
                       }
                       for (size_t i = 0; i < plan.layers.uncovered.size(); ++i) {
                         const at::Tensor& gradient = found[sources.taps.size() + i];
                         if (gradient.defined())
                           addOther(gradient, q, plan.others, sums[layers.size() + i]);
                       }
                     },
                     stop);
               });
  return sums;
}

std::vector<at::Tensor> diagonalsIn(const std::vector<Basis>& bases, const Point& point,
                                    const Plan& plan, const OutputGradients& gradients,
                                    int64_t chunkSize, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::kronecker_diagonals");
  RowGraph::Sources sources;
  for (const KroneckerLayer& layer : plan.layers.layers) {
    sources.parameters.push_back(layer.weight);
    if (layer.bias) sources.parameters.push_back(*layer.bias);
  }
  const size_t count = plan.layers.layers.size();
  std::vector<at::Tensor> sums;
  for (size_t i = 0; i < count; ++i) {
    const Block& block = plan.blocks[i];
    sums.push_back(at::zeros({block.groups, block.rows, block.cols}, point.params.options()));
  }
  const int64_t most = kGradientBytes / static_cast<int64_t>(point.params.nbytes() + 1);
  forEachGraph(
      point, sources, gradients, chunkSize, most, stop,
      [&](RowGraph& graph, const at::Tensor& y, int64_t begin) {
        gradients.forEach(
            y, begin,
            [&](const at::Tensor& u, const at::Tensor& q) {
              const std::vector<at::Tensor> found = graph.gradients(u);
              size_t next = 0;
              for (size_t i = 0; i < count; ++i) {
                stop.poll();
                const Block& block = plan.blocks[i];
                const at::Tensor weight = found[next++];
                const at::Tensor bias = block.bias ? found[next++] : at::Tensor();
                if (!weight.defined()) continue;
                const at::Tensor gradient = block.joined(weight, bias);
                const at::Tensor rotated = fromRight(
                    fromLeft(bases[i].left, gradient, /*transposed=*/true), bases[i].right, false);
                sums[i].add_(at::matmul(q, (rotated * rotated).flatten(1)).view_as(sums[i]));
              }
            },
            stop);
      });
  return sums;
}

}  // namespace tc
