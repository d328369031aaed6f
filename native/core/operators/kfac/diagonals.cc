#include "core/operators/kfac/diagonals.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "core/operators/kfac/factor.h"
#include "core/operators/kfac/positions.h"
#include "core/operators/kfac/row_graphs.h"
#include "core/profiler/stage.h"

namespace tc {
namespace {

/// The diagonal of QᵀFQ of one layer, Σ q (Q_Lᵀ ∇ Q_R)² over the rows.
class Diagonal {
 public:
  /// `atOnePosition`: each row uses the layer at one position, so that ∇ is an outer product, and
  /// its sides can be turned for themselves.
  Diagonal(const KroneckerLayer& layer, const Block& block, const Basis& basis, bool atOnePosition,
           const at::TensorOptions& options)
      : layer_(layer),
        block_(block),
        basis_(basis),
        atOnePosition_(atOnePosition),
        sum_(at::zeros({block.groups, block.rows, block.cols}, options.dtype(at::kDouble))) {}

  /// In float64.
  const at::Tensor& sum() const { return sum_; }

  /// Adds what gradients are taken by, and remembers where it stands there.
  void listSources(RowGraph::Sources& sources) {
    if (atOnePosition_) {
      first_ = sources.taps.size();
      sources.taps.push_back({layer_.uses.front().node, layer_.uses.front().input});
      return;
    }
    first_ = sources.parameters.size();
    sources.parameters.push_back(layer_.weight);
    if (layer_.bias) sources.parameters.push_back(*layer_.bias);
  }

  /// Multiply-adds for each row.
  int64_t work() const {
    const auto turned = [](const at::Tensor& q) { return q.defined() ? q.size(1) : 1; };
    const int64_t left = turned(basis_.left);
    const int64_t right = turned(basis_.right);
    const int64_t product = block_.rows * block_.cols;
    const int64_t each = atOnePosition_ ? left * block_.rows + right * block_.cols + product
                                        : product * (left + right);
    return block_.groups * each;
  }

  /// `found` are gradients by `taps` taps, then by parameters.
  void add(const RowGraph& graph, const std::vector<at::Tensor>& found, size_t taps,
           const at::Tensor& q) {
    const at::Tensor& gradient = found[atOnePosition_ ? first_ : taps + first_];
    if (!gradient.defined()) return;
    if (atOnePosition_) {
      addOuterProducts(graph.argument(first_), gradient, q);
      return;
    }
    const at::Tensor both =
        block_.joined(gradient, block_.bias ? found[taps + first_ + 1] : at::Tensor());
    const at::Tensor turned =
        fromRight(fromLeft(basis_.left, both, /*transposed=*/true), basis_.right, false);
    sum_.add_(at::matmul(q, (turned * turned).flatten(1)).view_as(sum_));
  }

 private:
  void addOuterProducts(const at::Tensor& argument, const at::Tensor& gradient,
                        const at::Tensor& q) {
    const LayerUse& use = layer_.uses.front();
    const auto squared = [](const at::Tensor& x, const at::Tensor& side) {  // of [n, 1, 1, size]
      const at::Tensor turned = fromRight(x, side, false);
      return (turned * turned).flatten(1);
    };
    const at::Tensor a = squared(inputPositions(use, argument, block_.bias.has_value()),
                                 use.inputFirst ? basis_.left : basis_.right);
    const at::Tensor g =
        squared(outputPositions(use, gradient), use.inputFirst ? basis_.right : basis_.left);
    const auto& [rows, cols] = use.inputFirst ? std::pair(a, g) : std::pair(g, a);
    sum_.select(0, 0).add_(at::mm((rows * q.unsqueeze(1)).t(), cols));
  }

  const KroneckerLayer& layer_;
  const Block& block_;
  const Basis& basis_;
  bool atOnePosition_;
  at::Tensor sum_;
  size_t first_ = 0;
};

/// Which layers are linear ones that each row uses at one position, as a row shows.
std::vector<bool> atOnePosition(const Point& point, const Plan& plan) {
  RowGraph::Sources sources;
  std::vector<bool> single;
  for (const KroneckerLayer& layer : plan.layers.layers) {
    const LayerUse& use = layer.uses.front();
    single.push_back(layer.uses.size() == 1 && use.kind == LayerUse::Kind::kLinear);
    sources.taps.push_back({use.node, use.input});
  }
  if (point.batch() == 0) return single;
  const RowGraph graph(point, 0, 1, sources, /*together=*/false);
  for (size_t i = 0; i < single.size(); ++i) {
    const at::Tensor& a = graph.argument(i);
    single[i] = single[i] && a.numel() == a.size(-1);
  }
  return single;
}

}  // namespace

std::vector<at::Tensor> diagonalsIn(const std::vector<Basis>& bases, const Point& point,
                                    const Plan& plan, const OutputGradients& gradients,
                                    int64_t chunkSize, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::kronecker_diagonals");
  const StopScope scope(stop);
  if (plan.layers.layers.empty()) return {};
  const std::vector<bool> single = atOnePosition(point, plan);
  RowGraph::Sources sources;
  std::vector<Diagonal> diagonals;
  int64_t work = 1;
  for (size_t i = 0; i < plan.layers.layers.size(); ++i) {
    diagonals.emplace_back(plan.layers.layers[i], plan.blocks[i], bases[i], single[i],
                           point.params.options());
    diagonals.back().listSources(sources);
    work = std::max(work, diagonals.back().work());
  }
  const int64_t fitting = sources.parameters.empty()
                              ? kVmapRows
                              : kGradientBytes / static_cast<int64_t>(point.params.nbytes() + 1);
  const int64_t most = std::min(fitting, kUninterrupted / work);
  forEachGraph(point, sources, gradients, chunkSize, most, stop,
               [&](RowGraph& graph, const at::Tensor& y, int64_t begin) {
                 gradients.forEach(
                     y, begin,
                     [&](const at::Tensor& u, const at::Tensor& q) {
                       const std::vector<at::Tensor> found = graph.gradients(u);
                       for (Diagonal& diagonal : diagonals) {
                         stop.poll();
                         diagonal.add(graph, found, sources.taps.size(), q);
                       }
                     },
                     stop);
               });
  std::vector<at::Tensor> sums;
  sums.reserve(diagonals.size());
  for (const Diagonal& each : diagonals) sums.push_back(each.sum().to(point.params.scalar_type()));
  return sums;
}

}  // namespace tc
