#include "core/solvers/linear_method.h"

#include <string>
#include <utility>

#include "core/runtime/error.h"
#include "core/runtime/transfer.h"

namespace tc {
namespace {

/// `vectors` as [n], or as [count, n] where there is a count, on the operator's device.
at::Tensor shaped(const Arguments& given, const std::string& name, const LinearOperator& a) {
  at::Tensor flat = given.tensor(name);
  if (!flat.defined()) return flat;
  const std::optional<int64_t> count = given.integer("count");
  const int64_t sides = count.value_or(1);
  if (sides < 0 || flat.numel() != sides * a.rows()) {
    throw Error("ERR_SHAPE_MISMATCH", name + " should have " + std::to_string(a.rows()) +
                                          " elements for each of " + std::to_string(sides) +
                                          " right-hand sides, got " + std::to_string(flat.numel()));
  }
  const at::Tensor here = toDevice(flat, a.options().device());
  return count ? here.view({sides, a.rows()}) : here;
}

Record describe(const SolverRecord& record) {
  return {{{"iterations", record.iterations},
           {"residualNorm", record.residualNorm},
           {"converged", record.converged},
           {"reason", record.reason},
           {"message", record.message}}};
}

}  // namespace

Record solveLinear(LinearSolver solver, const LinearOperator& a, const Arguments& given,
                   const StopToken& stop) {
  requireSquare(a, "a linear solver");
  SolverOptions options;
  options.tolerance = given.number("tolerance", options.tolerance);
  options.maxIterations = given.integer("maxIterations");
  options.preconditioner = given.op("preconditioner");
  options.x0 = shaped(given, "x0", a);
  options.onIteration = given.onIteration("onIteration");
  const at::Tensor b = shaped(given, "b", a);
  if (!b.defined())
    throw Error("ERR_INVALID_ARGUMENT", "a linear solver needs a right-hand side b");
  SolverResult result = solver(a, b, options, stop);
  std::vector<Record> records;
  records.reserve(result.records.size());
  for (const SolverRecord& each : result.records) records.push_back(describe(each));
  return {{{"x", std::move(result.x)}, {"records", std::move(records)}}};
}

}  // namespace tc
