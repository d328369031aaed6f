#include "core/losses/objective.h"

#include <limits>

#include "core/runtime/error.h"

namespace tc {

Reduction findReduction(const std::string& name) {
  if (name == "mean") return Reduction::kMean;
  if (name == "sum") return Reduction::kSum;
  throw Error("ERR_INVALID_ARGUMENT", "reduction should be 'mean' or 'sum', got '" + name + "'");
}

Objective makeObjective(LossPtr loss, const at::Tensor& y, const at::Tensor& target,
                        Reduction reduction) {
  const at::Tensor here = target.to(y.device());
  loss->check(y, here);
  const int64_t terms = loss->terms(y, here);
  Objective objective{std::move(loss), here, terms};
  if (reduction == Reduction::kMean) {
    objective.scale = terms > 0 ? 1 / static_cast<double>(terms) : 0;
    objective.valueScale = terms > 0 ? objective.scale : std::numeric_limits<double>::quiet_NaN();
  }
  return objective;
}

}  // namespace tc
