#include "core/operators/factorizations.h"

#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_qr.h>

namespace tc {

std::pair<at::Tensor, at::Tensor> symmetricEigen(const at::Tensor& matrices,
                                                 const StopToken& stop) {
  return uninterrupted(stop, [&] {
    auto [values, vectors] = at::linalg_eigh(matrices);
    return std::pair(values, vectors);
  });
}

std::pair<at::Tensor, at::Tensor> reducedQr(const at::Tensor& a, const StopToken& stop) {
  return uninterrupted(stop, [&] {
    auto [q, r] = at::linalg_qr(a);
    return std::pair(q, r);
  });
}

}  // namespace tc
