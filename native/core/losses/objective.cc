#include "core/losses/objective.h"

#include "core/error.h"

namespace tc {

Reduction findReduction(const std::string& name) {
  if (name == "mean") return Reduction::kMean;
  if (name == "sum") return Reduction::kSum;
  throw Error("ERR_INVALID_ARGUMENT", "reduction should be 'mean' or 'sum', got '" + name + "'");
}

Objective makeObjective(std::shared_ptr<const Loss> loss, const at::Tensor& y,
                        const at::Tensor& target, Reduction reduction) {
  const at::Tensor here = target.to(y.device());
  loss->check(y, here);
  Objective objective{std::move(loss), here};
  if (reduction == Reduction::kMean) {
    const auto terms = static_cast<double>(objective.loss->terms(y, here));
    objective.scale = 1 / terms;
    objective.rowScale = static_cast<double>(y.size(0)) / terms;
  }
  return objective;
}

}  // namespace tc
