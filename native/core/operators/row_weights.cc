#include "core/operators/row_weights.h"

#include <ATen/TensorOperators.h>

#include "core/losses/loss.h"
#include "core/runtime/error.h"
#include "core/runtime/transfer.h"

namespace tc {

RowWeights::RowWeights(const at::Tensor& weights, bool center, int64_t batch,
                       const at::TensorOptions& options)
    : total_(static_cast<double>(batch)), center_(center) {
  if (!weights.defined()) return;
  if (weights.dim() != 1 || weights.numel() != batch) {
    throw Error("ERR_SHAPE_MISMATCH",
                "weights should have one element for each row of the batch, [" +
                    std::to_string(batch) + "], got " + describeShape(weights.sizes()));
  }
  if (weights.scalar_type() != c10::typeMetaToScalarType(options.dtype()))
    throw Error("ERR_DTYPE_MISMATCH", "weights should have the precision of the params");
  checkNotNegative(weights, "weights");
  weights_ = toDevice(weights, options.device());
  roots_ = weights_.sqrt();
  total_ = weights_.sum().item<double>();
}

at::Tensor RowWeights::times(const at::Tensor& u, int64_t begin, int64_t end) const {
  return weighted() ? u * broadcast(weights_, u, begin, end) : u;
}

at::Tensor RowWeights::timesRoot(const at::Tensor& u) const {
  return weighted() ? u * broadcast(roots_, u, 0, u.size(0)) : u;
}

at::Tensor RowWeights::subtractMean(const at::Tensor& u) const {
  if (!center_) return u;
  return u - times(u, 0, u.size(0)).sum(0, /*keepdim=*/true) * share();
}

at::Tensor RowWeights::subtractMeanTransposed(const at::Tensor& u) const {
  if (!center_) return u;
  const at::Tensor mean = u.sum(0, /*keepdim=*/true) * share();
  return u - (weighted() ? mean * broadcast(weights_, u, 0, u.size(0)) : mean);
}

at::Tensor RowWeights::broadcast(const at::Tensor& w, const at::Tensor& u, int64_t begin,
                                 int64_t end) const {
  std::vector<int64_t> shape(static_cast<size_t>(u.dim()), 1);
  shape[0] = end - begin;
  return w.narrow(0, begin, end - begin).view(shape);
}

}  // namespace tc
