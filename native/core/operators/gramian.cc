#include "core/operators/gramian.h"

#include <utility>

#include "core/operators/centered_parts.h"
#include "core/operators/request.h"

namespace tc {

OperatorPtr gramian(LinearizationPtr linearization, RowWeights weights) {
  const at::Tensor y = linearization->output();
  return sandwich(std::move(linearization), rowWeighting(y, std::move(weights)));
}

namespace {

OperatorPtr make(const OperatorRequest& request, const StopToken& stop) {
  const RowWeights weights = request.rowWeights();
  const LinearizationPtr linearization = request.linearization(stop);
  return centeredPart(request.arguments.text("part", ""), linearization,
                      rowWeighting(linearization->output(), weights));
}

const Rows<OperatorKind> kRows(operatorKinds(),
                               {{"gramian", {"torch_curvature::gramian", make, /*centers=*/true}}});

}  // namespace

}  // namespace tc
