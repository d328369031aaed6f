#include "core/runtime/sum.h"

#include <ATen/ops/zeros_like.h>

namespace tc {
namespace {

/// Terms that are added in their own precision.
constexpr int64_t kFew = 8;

}  // namespace

void Sum::add(const at::Tensor& term) {
  if (terms_++ == 0) {
    sum_ = term;
    precision_ = term.scalar_type();
    return;
  }
  if (terms_ > kFew && sum_.scalar_type() == at::kFloat) sum_ = sum_.to(at::kDouble);
  sum_.add_(term);
}

at::Tensor Sum::total() const { return sum_.defined() ? sum_.to(precision_) : sum_; }

at::Tensor Sum::totalLike(const at::Tensor& like) const {
  return sum_.defined() ? total() : at::zeros_like(like);
}

}  // namespace tc
