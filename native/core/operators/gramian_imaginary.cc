#include <ATen/ops/stack.h>

#include <utility>

#include "core/losses/loss.h"
#include "core/operators/centered_parts.h"
#include "core/operators/request.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// C = [[0, 1], [−1, 0]] W (I − 1wᵀ/Σw) on pairs (a, b) along the last axis: of complex outputs
/// a + ib, JᵀCJ is Im Σ w (O − Ō)* (O − Ō)ᵀ with O = ∂(a + ib)/∂θ.
class Rotation : public CenteredMap {
 public:
  Rotation(const at::Tensor& y, const RowWeights& weights)
      : CenteredMap(weights, weights.total()), weighting_(rowWeighting(y, weights)) {}

  bool antisymmetric() const override { return true; }
  int64_t means() const override { return weighting_->means(); }
  at::Tensor weightedSum(const at::Tensor& u, int64_t begin, int64_t end) const override {
    return weighting_->weightedSum(u, begin, end);
  }
  at::Tensor applyAround(const at::Tensor& u, const at::Tensor& mean, int64_t begin,
                         int64_t end) const override {
    const at::Tensor weighted = weighting_->applyAround(u, mean, begin, end);
    return at::stack({weighted.select(-1, 1), weighted.select(-1, 0).neg()}, -1);
  }
  RowFactorsOf factors() const override {
    return {0, [ofAll = weighting_->factors()](int64_t begin, int64_t end) -> RowFactors {
              const auto [vectors, weights] = ofAll.make(begin, end);
              return {vectors.narrow(0, 0, 0), weights.narrow(0, 0, 0)};
            }};
  }

 private:
  std::unique_ptr<CenteredMap> weighting_;
};

OperatorPtr make(const OperatorRequest& request, const StopToken& stop) {
  const RowWeights weights = request.rowWeights();
  const LinearizationPtr linearization = request.linearization(stop);
  const at::Tensor& y = linearization->output();
  if (y.dim() < 2 || y.size(-1) != 2) {
    throw Error("ERR_SHAPE_MISMATCH",
                "the imaginary part is of complex outputs as pairs (Re, Im) along the last axis, "
                "as torch.view_as_real gives them; the outputs are " +
                    describeShape(y.sizes()));
  }
  return centeredPart(request.arguments.text("part", ""), linearization,
                      std::make_unique<Rotation>(y, weights));
}

const Rows<OperatorKind> kRows(operatorKinds(),
                               {{"gramianImaginary",
                                 {"torch_curvature::gramian_imaginary", make, /*centers=*/true}}});

}  // namespace
}  // namespace tc
