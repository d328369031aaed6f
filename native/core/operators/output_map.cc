#include "core/operators/output_map.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/program/point.h"

namespace tc {
namespace {

class RowWeighting : public CenteredMap {
 public:
  RowWeighting(const at::Tensor& y, RowWeights weights, double totalWeight)
      : CenteredMap(std::move(weights), totalWeight),
        row_(y.sizes().slice(1).vec()),
        options_(y.options()) {}

  bool identity() const override { return !weights().weighted() && !weights().centered(); }
  int64_t means() const override { return c10::multiply_integers(row_); }
  at::Tensor weightedSum(const at::Tensor& u, int64_t begin, int64_t end) const override {
    return weights().times(u, begin, end).sum(0).reshape({-1});
  }
  at::Tensor applyAround(const at::Tensor& u, const at::Tensor& mean, int64_t begin,
                         int64_t end) const override {
    return weights().times(mean.defined() ? u - mean.view(row_) : u, begin, end);
  }
  RowFactorsOf factors() const override {
    return {means(), [this](int64_t begin, int64_t end) -> RowFactors {
              auto shape = row_;
              shape.insert(shape.begin(), end - begin);
              const at::Tensor units = unitVectors(at::empty(shape, options_));
              const at::Tensor ones = at::ones({end - begin, units.size(0)}, options_);
              return {units, weights().times(ones, begin, end).t()};
            }};
  }

 private:
  std::vector<int64_t> row_;
  at::TensorOptions options_;
};

class LossHessian : public OutputMap {
 public:
  LossHessian(Objective objective, at::Tensor y, RowWeights weights)
      : objective_(std::move(objective)), y_(std::move(y)), weights_(std::move(weights)) {}

  at::Tensor apply(const at::Tensor& u, int64_t begin, int64_t end) const override {
    const Objective part = objective_.rows(begin, end);
    const at::Tensor product =
        part.loss->hessianProduct(y_.narrow(0, begin, end - begin), part.target, u);
    return weights_.times(product * part.scale, begin, end);
  }
  RowFactorsOf factors() const override {
    const int64_t outputs = c10::multiply_integers(y_.sizes().slice(1));
    const int64_t count = outputs * objective_.loss->hessianFactorsOfOutput();
    return {count, [this](int64_t begin, int64_t end) -> RowFactors {
              const Objective part = objective_.rows(begin, end);
              const auto [vectors, weights] =
                  part.loss->hessianFactors(y_.narrow(0, begin, end - begin), part.target);
              return {vectors, weights_.times(weights.t() * part.scale, begin, end).t()};
            }};
  }
  int64_t bytes() const override {
    return objective_.target.defined() ? static_cast<int64_t>(objective_.target.nbytes()) : 0;
  }

 private:
  Objective objective_;
  at::Tensor y_;
  RowWeights weights_;
};

class OuterProducts : public CenteredMap {
 public:
  OuterProducts(const at::Tensor& gradients, DataLayout layout, double scale, RowWeights weights,
                double totalWeight)
      : CenteredMap(std::move(weights), totalWeight),
        layout_(layout),
        gradients_((gradients * std::sqrt(scale))
                       .reshape({gradients.size(0), gradients.size(1), layout.before,
                                 layout.outputs, layout.after})) {}

  int64_t means() const override { return gradients_.size(1); }
  at::Tensor weightedSum(const at::Tensor& u, int64_t begin, int64_t end) const override {
    return weights().times(inner(u, begin, end), begin, end).sum({0, 2, 3, 4});
  }
  at::Tensor applyAround(const at::Tensor& u, const at::Tensor& mean, int64_t begin,
                         int64_t end) const override {
    at::Tensor s = inner(u, begin, end);
    // Of data without terms g is zero, which takes the mean out again.
    if (mean.defined()) s = s - mean.view({1, -1, 1, 1, 1});
    s = weights().times(s, begin, end);
    return (rows(begin, end) * s).sum(1).view_as(u);
  }
  /// A vector for each gradient of each datum, which is zero at the other data.
  RowFactorsOf factors() const override {
    const int64_t count = gradients_.size(1) * layout_.before * layout_.after;
    return {count, [this, count](int64_t begin, int64_t end) -> RowFactors {
              const auto& [before, outputs, after] = layout_;
              const int64_t n = end - begin;
              const at::Tensor g = rows(begin, end).transpose(0, 1);
              const at::Tensor data =
                  at::eye(before * after, g.options()).view({before, after, 1, before, 1, after});
              const at::Tensor vectors = g.unsqueeze(1).unsqueeze(1) * data;
              const at::Tensor ones = at::ones({n, count}, g.options());
              return {vectors.reshape({count, n, before * outputs * after}),
                      weights().times(ones, begin, end).t()};
            }};
  }
  int64_t bytes() const override { return static_cast<int64_t>(gradients_.nbytes()); }

 private:
  at::Tensor rows(int64_t begin, int64_t end) const {
    return gradients_.narrow(0, begin, end - begin);
  }
  /// ⟨gₘ_d, u_d⟩, [n, M, before, 1, after].
  at::Tensor inner(const at::Tensor& u, int64_t begin, int64_t end) const {
    const at::Tensor data =
        u.reshape({end - begin, 1, layout_.before, layout_.outputs, layout_.after});
    return (rows(begin, end) * data).sum(3, /*keepdim=*/true);
  }

  DataLayout layout_;
  at::Tensor gradients_;  ///< √scale g, [N, M, before, outputs, after]: BᵀB has all of the scale
};

/// Bytes of a map that are read between two looks at the stop token.
constexpr int64_t kMapBytesAtOnce = int64_t{64} << 20;

}  // namespace

at::Tensor mapped(const OutputMap& map, const at::Tensor& u, int64_t begin, int64_t end,
                  int64_t batch, const StopToken& stop) {
  const int64_t bytesOfRow = map.bytes() / std::max<int64_t>(1, batch);
  const int64_t rows = kMapBytesAtOnce / std::max<int64_t>(1, bytesOfRow) + 1;
  if (!map.local() || rows >= end - begin) return map.apply(u, begin, end);
  at::Tensor result = at::empty_like(u);
  forEachChunk(end - begin, rows, stop, [&](int64_t first, int64_t last) {
    result.narrow(0, first, last - first)
        .copy_(map.apply(u.narrow(0, first, last - first), begin + first, begin + last));
  });
  return result;
}

at::Tensor CenteredMap::apply(const at::Tensor& u, int64_t begin, int64_t end) const {
  if (!weights_.centered()) return applyAround(u, {}, begin, end);
  // Where nothing has weight there is no mean to subtract, and nothing to subtract it from.
  const double share = totalWeight_ > 0 ? 1 / totalWeight_ : 0;
  return applyAround(u, weightedSum(u, begin, end) * share, begin, end);
}

std::unique_ptr<CenteredMap> rowWeighting(const at::Tensor& y, RowWeights weights) {
  const double total = weights.total();
  return std::make_unique<RowWeighting>(y, std::move(weights), total);
}

std::unique_ptr<OutputMap> lossHessian(Objective objective, at::Tensor y, RowWeights weights) {
  return std::make_unique<LossHessian>(std::move(objective), std::move(y), std::move(weights));
}

std::unique_ptr<CenteredMap> outerProducts(const at::Tensor& gradients, DataLayout layout,
                                           double scale, RowWeights weights, double totalWeight) {
  return std::make_unique<OuterProducts>(gradients, layout, scale, std::move(weights), totalWeight);
}

}  // namespace tc
