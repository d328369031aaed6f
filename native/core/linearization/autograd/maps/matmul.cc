// C[i] = A[i] B[i]: Ċ = Ȧ B + A Ḃ, dA = u Bᵀ, dB = Aᵀ u.

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "core/linearization/autograd/maps/linear_map.h"
#include "core/linearization/autograd/maps/matrix.h"

namespace tc {
namespace {

/// Whether all leading axes are the same; where one is to be broadcast libtorch's kernel serves.
bool alike(const at::Tensor& a, const at::Tensor& b) {
  if (a.dim() < 2 || a.dim() != b.dim()) return false;
  const auto leading = [](const at::Tensor& each) { return each.sizes().slice(0, each.dim() - 2); };
  return leading(a) == leading(b);
}

LinearMap matmul(const Call& call) {
  const at::Tensor a = call.arguments[0].toTensor();
  const at::Tensor b = call.arguments[1].toTensor();
  if (!alike(a, b)) return {};
  std::vector<size_t> which;
  which.reserve(call.active.size());
  for (const Call::Active& each : call.active) which.push_back(each.argument);
  const auto shape = call.results.front().sizes().vec();
  return {[a, b, which, shape](const Tangents& tangents) -> Tangents {
            const at::Tensor sum = at::empty(shape, a.options());
            for (size_t i = 0; i < which.size(); ++i) {
              if (which[i] == 0) multiplyBatches(sum, tangents[i], b, i > 0);
              if (which[i] == 1) multiplyBatches(sum, a, tangents[i], i > 0);
            }
            return {sum};
          },
          [a, b, which](const Tangents& cotangents) -> Tangents {
            const at::Tensor& u = cotangents.front();
            Tangents parts;
            for (const size_t argument : which) {
              // Laid out as the factor, of which views may have been taken.
              parts.push_back(at::empty_like(argument == 0 ? a : b));
              if (argument == 0) multiplyBatches(parts.back(), u, b.mT(), false);
              if (argument == 1) multiplyBatches(parts.back(), a.mT(), u, false);
            }
            return parts;
          }};
}

bool fit(const torch::jit::Stack& arguments) {
  const at::Tensor& a = arguments[0].toTensor();
  const at::Tensor& b = arguments[1].toTensor();
  return computesWith(a) && computesWith(b) && a.scalar_type() == b.scalar_type() && alike(a, b) &&
         a.size(-1) == b.size(-2);
}

at::Tensor multiplied(const torch::jit::Stack& arguments) {
  const at::Tensor& a = arguments[0].toTensor();
  const at::Tensor& b = arguments[1].toTensor();
  auto shape = a.sizes().vec();
  shape.back() = b.size(-1);
  const at::Tensor c = at::empty(shape, a.options());
  multiplyBatches(c, a, b, false);
  return c;
}

const Rows<ResultRule> kResults(resultRules(), {
                                                   {"aten::matmul", {fit, multiplied}},
                                                   {"aten::bmm", {fit, multiplied}},
                                                   {"aten::mm", {fit, multiplied}},
                                               });
const Rows<MapRule> kRows(mapRules(), {
                                          {"aten::matmul", matmul},
                                          {"aten::bmm", matmul},
                                          {"aten::mm", matmul},
                                      });

}  // namespace

}  // namespace tc
