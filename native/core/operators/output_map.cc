#include "core/operators/output_map.h"

#include <ATen/TensorOperators.h>

#include <utility>

namespace tc {
namespace {

class RowWeighting : public OutputMap {
 public:
  explicit RowWeighting(RowWeights weights) : weights_(std::move(weights)) {}

  at::Tensor apply(const at::Tensor& u, int64_t begin, int64_t end) const override {
    return weights_.times(weights_.subtractMean(u), begin, end);
  }
  bool local() const override { return !weights_.centred(); }
  bool identity() const override { return !weights_.weighted() && !weights_.centred(); }

 private:
  RowWeights weights_;
};

class LossHessian : public OutputMap {
 public:
  LossHessian(Objective objective, at::Tensor y, RowWeights weights)
      : objective_(std::move(objective)), y_(std::move(y)), weights_(std::move(weights)) {}

  at::Tensor apply(const at::Tensor& u, int64_t begin, int64_t end) const override {
    const at::Tensor product = objective_.loss->hessianProduct(
        y_.narrow(0, begin, end - begin), objective_.targetRows(begin, end), u);
    return weights_.times(product * objective_.scale, begin, end);
  }
  int64_t bytes() const override { return static_cast<int64_t>(objective_.target.nbytes()); }

 private:
  Objective objective_;
  at::Tensor y_;
  RowWeights weights_;
};

class RankOne : public OutputMap {
 public:
  RankOne(const at::Tensor& gradients, double scale, RowWeights weights)
      : gradients_(gradients.flatten(2)), scale_(scale), weights_(std::move(weights)) {}

  at::Tensor apply(const at::Tensor& u, int64_t begin, int64_t end) const override {
    const at::Tensor g = gradients_.narrow(1, begin, end - begin);  // [M, n, O]
    at::Tensor s = (g * u.reshape({end - begin, -1})).sum(2).t();   // [n, M]: ⟨gₘₙ, uₙ⟩
    s = weights_.times(weights_.subtractMean(s), begin, end) * scale_;
    return (g * s.t().unsqueeze(2)).sum(0).view_as(u);
  }
  bool local() const override { return !weights_.centred(); }
  int64_t bytes() const override { return static_cast<int64_t>(gradients_.nbytes()); }

 private:
  at::Tensor gradients_;
  double scale_;
  RowWeights weights_;
};

}  // namespace

std::unique_ptr<OutputMap> rowWeighting(RowWeights weights) {
  return std::make_unique<RowWeighting>(std::move(weights));
}

std::unique_ptr<OutputMap> lossHessian(Objective objective, at::Tensor y, RowWeights weights) {
  return std::make_unique<LossHessian>(std::move(objective), std::move(y), std::move(weights));
}

std::unique_ptr<OutputMap> rankOne(at::Tensor gradients, double scale, RowWeights weights) {
  if (gradients.dim() == 2) gradients = gradients.unsqueeze(2);  // an output of shape [N]
  return std::make_unique<RankOne>(gradients, scale, std::move(weights));
}

}  // namespace tc
