// Y = P V with P = softmax(s Q Kᵀ + M)
//
//     Ṡ = s (Q̇ Kᵀ + Q K̇ᵀ) + Ṁ,   Ṗ = P ⊙ (Ṡ − rowsum(P ⊙ Ṡ)),   Ẏ = Ṗ V + P V̇
//     dV = Pᵀ u,   dP = u Vᵀ,   dS = P ⊙ (dP − rowsum(P ⊙ dP)),   dQ = s dS K,   dK = s dSᵀ Q

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <optional>

#include "core/kernels/kernels.h"
#include "core/linearization/autograd/maps/linear_map.h"
#include "core/linearization/autograd/maps/matrix.h"
#include "core/linearization/autograd/pushforwards/pushforward.h"
#include "core/runtime/parallel.h"

namespace tc {
namespace {

enum : size_t { kQuery, kKey, kValue, kMask, kDropout, kCausal, kScale, kGrouped };

/// Of scores [..., rows, n], contiguous, in place.
void throughSoftmax(const at::Tensor& p, const at::Tensor& scores) {
  const int64_t n = scores.size(-1);
  const int64_t rows = scores.numel() / n;
  constexpr int64_t kThreadWork = 1 << 16;
  const int64_t workers =
      std::clamp<int64_t>(scores.numel() / kThreadWork, 1, at::get_num_threads());
  const auto run = [&]<typename T>(T) {
    const T* const weights = p.const_data_ptr<T>();
    T* const values = scores.mutable_data_ptr<T>();
    forkJoin(workers, [&](int64_t worker) {
      const WorkRange own(rows, worker, workers);
      fused::kernels<T>().pushSoftmax(own.end - own.begin, n, weights + own.begin * n,
                                      values + own.begin * n, n);
    });
  };
  scores.scalar_type() == at::kFloat ? run(float()) : run(double());
}

LinearMap scaledDotProduct(const Call& call) {
  const auto parts = attentionAt(call);
  if (!parts || call.find(kMask) != nullptr) return {};
  const auto& [q, k, v, p] = *parts;  // the first two scaled
  const auto leading = [](const at::Tensor& each) { return each.sizes().slice(0, each.dim() - 2); };
  if (leading(q) != leading(p) || leading(k) != leading(p) || leading(v) != leading(p)) return {};
  std::vector<size_t> which;
  which.reserve(call.active.size());
  for (const Call::Active& each : call.active) which.push_back(each.argument);
  std::vector<at::Tensor> likes;
  likes.reserve(call.active.size());
  for (const Call::Active& each : call.active) likes.push_back(each.primal);
  const auto shape = call.results.front().sizes().vec();

  const auto push = [which, shape, q = q, k = k, v = v,
                     p = p.contiguous()](const Tangents& tangents) {
    at::Tensor scores;
    const at::Tensor sum = at::empty(shape, p.options());
    bool begun = false;
    for (size_t i = 0; i < which.size(); ++i) {
      if (which[i] == kValue) {
        multiplyBatches(sum, p, tangents[i], begun);
        begun = true;
        continue;
      }
      const bool first = !scores.defined();
      if (first) scores = at::empty(p.sizes(), p.options());
      if (which[i] == kQuery) multiplyBatches(scores, tangents[i], k.mT(), !first);
      if (which[i] == kKey) multiplyBatches(scores, q, tangents[i].mT(), !first);
    }
    if (scores.defined()) {
      throughSoftmax(p, scores);
      multiplyBatches(sum, scores, v, begun);
    }
    return Tangents{sum};
  };
  const auto pull = [which, likes, q = q, k = k, v = v,
                     p = p.contiguous()](const Tangents& cotangents) {
    const at::Tensor& u = cotangents.front();
    at::Tensor scores;
    Tangents results;
    for (size_t i = 0; i < which.size(); ++i) {
      results.push_back(at::empty_like(likes[i]));
      if (which[i] == kValue) {
        multiplyBatches(results[i], p.mT(), u, false);
        continue;
      }
      if (!scores.defined()) {
        scores = at::empty(p.sizes(), p.options());
        multiplyBatches(scores, u, v.mT(), false);
        throughSoftmax(p, scores);
      }
      if (which[i] == kQuery) multiplyBatches(results[i], scores, k, false);
      if (which[i] == kKey) multiplyBatches(results[i], scores.mT(), q, false);
    }
    return results;
  };
  return {push, pull};
}

const Rows<MapRule> kRows(mapRules(), {{"aten::scaled_dot_product_attention", scaledDotProduct}});

}  // namespace

}  // namespace tc
