#include "core/losses/objective.h"

#include <limits>

#include "core/runtime/error.h"
#include "core/runtime/transfer.h"

namespace tc {

Reduction findReduction(const std::string& name) {
  if (name == "mean") return Reduction::kMean;
  if (name == "sum") return Reduction::kSum;
  throw Error("ERR_INVALID_ARGUMENT", "reduction should be 'mean' or 'sum', got '" + name + "'");
}

std::optional<double> Objective::meanDivisor() const {
  return reduction == Reduction::kMean ? std::optional(divisor) : std::nullopt;
}

Objective Objective::rows(int64_t begin, int64_t end) const {
  Objective part = *this;
  part.loss = loss->rows(begin, end, dims);
  if (target.defined()) part.target = target.narrow(0, begin, end - begin);
  return part;
}

Objective makeObjective(LossPtr loss, const at::Tensor& y, const at::Tensor& target,
                        Reduction reduction) {
  const at::Tensor here = target.defined() ? toDevice(target, y.device()) : target;
  loss->check(y, here);
  const double divisor = loss->divisor(y, here);
  Objective objective{std::move(loss), here, divisor};
  objective.dims = y.dim();
  objective.reduction = reduction;
  if (reduction == Reduction::kMean) {
    objective.scale = divisor > 0 ? 1 / divisor : 0;
    objective.valueScale = divisor > 0 ? objective.scale : std::numeric_limits<double>::quiet_NaN();
  }
  return objective;
}

}  // namespace tc
