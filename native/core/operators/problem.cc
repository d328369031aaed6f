#include "core/operators/problem.h"

#include <utility>

#include "core/linearization/rows.h"
#include "core/runtime/error.h"

namespace tc {

Objective Problem::objective(const Point& point) const { return objective(outputLike(point)); }

Objective Problem::objective(const at::Tensor& y) const {
  LossPtr made = lossProgram.program ? programLoss(lossProgram, sampler)
                                     : makeLoss(loss, lossOptions.on(y.device()));
  if (made->needsTarget() && !target.defined())
    throw Error("ERR_INVALID_ARGUMENT", "the problem needs a target for its loss");
  return makeObjective(std::move(made), y, target, findReduction(reduction));
}

RowWeights Problem::rowWeights(const Point& point) const {
  return RowWeights(weights, center, point.batch(), point.params.options());
}

}  // namespace tc
