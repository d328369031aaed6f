#include "core/operators/gauss_newton.h"

#include <utility>

#include "core/operators/request.h"

namespace tc {

OperatorPtr gaussNewton(LinearizationPtr linearization, Objective objective, RowWeights weights) {
  const at::Tensor y = linearization->output();
  return sandwich(std::move(linearization),
                  lossHessian(std::move(objective), y, std::move(weights)));
}

namespace {

OperatorPtr make(const OperatorRequest& request, const StopToken& stop) {
  Objective checked = request.objective();  // before the forward pass
  requireMatrix(*checked.loss, LossMatrix::kGaussNewton);
  const DataShare share{checked.meanDivisor(), {}};
  OperatorPtr op =
      gaussNewton(request.linearization(stop), std::move(checked), request.rowWeights());
  op->setShare(share);
  return op;
}

const Rows<OperatorKind> kRows(operatorKinds(),
                               {{"gaussNewton",
                                 {"torch_curvature::gauss_newton", make, /*centers=*/false,
                                  LossMatrix::kGaussNewton, /*regularized=*/true}}});

}  // namespace

}  // namespace tc
