#include "core/operators/kfac/output_gradients.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "core/operators/kfac/factor.h"
#include "core/runtime/bytes.h"
#include "core/runtime/device.h"
#include "core/runtime/error.h"
#include "core/runtime/precision.h"

namespace tc {
namespace {

/// Bytes of Hessians that are kept at once.
constexpr int64_t kHessianBytes = int64_t{64} << 20;

}  // namespace

FisherKind findFisherKind(const std::string& name) {
  if (name == "type2") return FisherKind::kType2;
  if (name == "mc") return FisherKind::kMonteCarlo;
  if (name == "empirical") return FisherKind::kEmpirical;
  throw Error("ERR_INVALID_ARGUMENT",
              "fisher should be 'type2', 'mc' or 'empirical', got '" + name + "'");
}

OutputGradients::OutputGradients(FisherKind kind, Objective objective, RowWeights weights, Per per,
                                 const Draws& draws, int64_t samples)
    : kind_(kind),
      objective_(std::move(objective)),
      weights_(std::move(weights)),
      per_(per),
      draws_(draws),
      samples_(samples) {
  if (kind == FisherKind::kType2) requireMatrix(*objective_.loss, LossMatrix::kGaussNewton);
  if (kind == FisherKind::kMonteCarlo) requireMatrix(*objective_.loss, LossMatrix::kFisher);
  if (samples < 1) throw Error("ERR_INVALID_ARGUMENT", "mcSamples should be at least 1");
}

int64_t OutputGradients::rowsAtOnce(const at::Tensor& y) const {
  if (kind_ != FisherKind::kType2) return std::numeric_limits<int64_t>::max();
  const DataLayout layout = dataLayout(*objective_.loss, y, Per::kDatum);
  const int64_t bytes =
      countOf(layout.outputs, layout.outputs, layout.before * layout.after, 4 * y.element_size());
  requireMemory(y.device(), bytes, "the loss's Hessian of a row (fisher: 'mc' takes none)");
  return std::max<int64_t>(1, kHessianBytes / std::max<int64_t>(1, bytes));
}

at::Tensor OutputGradients::rowWeights(const at::Tensor& y, int64_t begin) const {
  const int64_t end = begin + y.size(0);
  const Objective part = objective_.rows(begin, end);
  return weights_.times(countData(*part.loss, y, part.target, Per::kRow), begin, end);
}

void OutputGradients::forEach(const at::Tensor& y, int64_t begin, const Use& use,
                              const StopToken& stop) const {
  const Objective part = objective_.rows(begin, begin + y.size(0));
  const at::Tensor scale = rowWeights(y, begin) * objective_.scale;
  switch (kind_) {
    case FisherKind::kType2:
      forEachRoot(y, part, scale, use, stop);
      break;
    case FisherKind::kMonteCarlo:
      for (int64_t sample = 0; sample < samples_; ++sample) {
        const at::Tensor gradient =
            part.loss->sampledGradient(y, part.target, draws_.from(begin), sample);
        forEachDatum(gradient, scale / static_cast<double>(samples_), use, stop);
      }
      break;
    case FisherKind::kEmpirical:
      forEachDatum(part.loss->gradient(y, part.target), scale, use, stop);
      break;
  }
}

/// H_d = Σ λ s sᵀ by its eigenvectors, for each datum: the Hessian of a loss is block-diagonal over
/// the data.
void OutputGradients::forEachRoot(const at::Tensor& y, const Objective& part,
                                  const at::Tensor& scale, const Use& use,
                                  const StopToken& stop) const {
  const DataLayout layout = dataLayout(*objective_.loss, y, Per::kDatum);
  const int64_t n = y.size(0);
  const int64_t data = layout.before * layout.after;
  std::vector<at::Tensor> columns;
  for (int64_t output = 0; output < layout.outputs; ++output) {
    stop.poll();
    const at::Tensor unit = at::zeros_like(y, at::MemoryFormat::Contiguous);
    unit.view({n, layout.before, layout.outputs, layout.after}).select(2, output).fill_(1);
    columns.push_back(part.loss->hessianProduct(y, part.target, unit)
                          .reshape({n, layout.before, layout.outputs, layout.after})
                          .permute({0, 1, 3, 2})
                          .reshape({n, data, layout.outputs}));
  }
  if (columns.empty() || data == 0 || n == 0) return;
  const at::Tensor hessian = at::stack(columns, 3);  // [n, data, outputs, outputs]
  columns.clear();
  const at::Tensor symmetric = (hessian + hessian.transpose(2, 3)) / 2;
  const auto [all, vectors] = eighOrNaN(symmetric, stop);
  // What rounding leaves of an eigenvalue 0 (of a softmax) is of the size of what is off the
  // diagonal; the eigenvalues of a diagonal Hessian are exact, however small.
  const at::Tensor off = symmetric - at::diag_embed(symmetric.diagonal(0, 2, 3));
  const at::Tensor noise =
      off.abs().amax({2, 3}).unsqueeze(2) * (epsilonOf(y) * static_cast<double>(layout.outputs));
  const at::Tensor values = at::where(all.abs() <= noise, at::zeros_like(all), all);
  for (int64_t datum = 0; datum < data; ++datum) {
    for (int64_t root = 0; root < layout.outputs; ++root) {
      stop.poll();
      const at::Tensor value = values.select(1, datum).select(1, root);
      if (value.abs().max().item<double>() == 0) continue;
      const at::Tensor u = at::zeros({n, layout.before, layout.outputs, layout.after}, y.options());
      u.select(1, datum / layout.after)
          .select(2, datum % layout.after)
          .copy_(vectors.select(1, datum).select(2, root));
      use(u.view(y.sizes()), value * scale);
    }
  }
}

/// The parts of a gradient that have outer products of their own, each with zeros for the others.
void OutputGradients::forEachDatum(const at::Tensor& gradient, const at::Tensor& q, const Use& use,
                                   const StopToken& stop) const {
  const DataLayout layout = dataLayout(*objective_.loss, gradient, per_);
  const int64_t n = gradient.size(0);
  const at::Tensor all = gradient.reshape({n, layout.before, layout.outputs, layout.after});
  for (int64_t datum = 0; datum < layout.before * layout.after; ++datum) {
    stop.poll();
    const int64_t before = datum / layout.after;
    const int64_t after = datum % layout.after;
    const at::Tensor u = at::zeros_like(all, at::MemoryFormat::Contiguous);
    u.select(1, before).select(2, after).copy_(all.select(1, before).select(2, after));
    use(u.view(gradient.sizes()), q);
  }
}

}  // namespace tc
