#include "core/operators/request.h"

#include <utility>

#include "core/operators/l2.h"
#include "core/profiler/meter.h"
#include "core/runtime/error.h"
#include "core/runtime/transfer.h"

namespace tc {

LinearizationPtr OperatorRequest::linearization(const StopToken& stop) const {
  return shared ? shared : std::make_shared<ChunkedLinearization>(point, options, stop);
}

LinearizationPtr OperatorRequest::otherLinearization(const StopToken& stop) const {
  Point second = shared ? shared->point() : point;
  for (size_t i = 0; i < others.size(); ++i)
    second.inputs[i] = toDevice(others[i], second.params.device());
  return std::make_shared<ChunkedLinearization>(std::move(second), options, stop);
}

Table<OperatorKind>& operatorKinds() {
  static Table<OperatorKind> table("the kind of operator");
  return table;
}

OperatorPtr makeOperator(const std::string& name, const OperatorRequest& request,
                         const StopToken& stop) {
  const OperatorKind& kind = operatorKinds().at(name);
  if (request.problem.center && !kind.centers) {
    std::string known;
    for (const auto& [each, row] : operatorKinds().rows()) {
      if (row.centers) known += (known.empty() ? "" : ", ") + each;
    }
    throw Error("ERR_INVALID_ARGUMENT", "center is for " + known + ", not for " + name);
  }
  if (request.options.engine == Engine::kFused && kind.byAutograd) {
    throw Error("ERR_UNSUPPORTED_OP", "the fused engine does not make " + name +
                                          "; leave out engine, or give 'autograd'");
  }
  OperatorPtr op = kind.make(request, stop);
  if (kind.regularized && request.problem.l2.defined())
    op = regularized(std::move(op), request.problem.l2);
  op->setLabel(kind.label);
  if (profiling::Meter* const meter = profiling::Meter::current();
      meter != nullptr && op->engine() != nullptr)
    meter->setEngine(op->engine());
  return op;
}

}  // namespace tc
