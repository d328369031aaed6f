#include "binding/handles.h"
#include "binding/operation.h"
#include "binding/progress.h"
#include "binding/request.h"
#include "core/runtime/error.h"
#include "core/solvers/cg.h"
#include "core/solvers/eigsh.h"
#include "core/solvers/estimators.h"
#include "core/solvers/minres.h"
#include "core/solvers/spectral_density.h"

namespace tc::js {
namespace {

/// A Prepared for a request on an operator, whose computation gives a record of type T.
template <typename T>
Prepared recordOf(const Fields& fields,
                  std::function<T(const LinearOperator&, const StopToken&)> compute,
                  std::function<void(Napi::Env, Napi::Object, const T&)> fill) {
  Prepared prepared;
  prepared.threads = static_cast<int>(fields.integer("threads"));
  prepared.compute = [op = operatorOf(fields.get("operator")), compute = std::move(compute)](
                         const StopToken& stop) { return Result::of(compute(*op, stop)); };
  prepared.deliver = [fill = std::move(fill)](Napi::Env env, const Result& result, Napi::Value) {
    auto record = Napi::Object::New(env);
    fill(env, record, result.as<T>());
    return Napi::Value(record);
  };
  return prepared;
}

/// `vectors` as [n], or as [count, n] where the request has a count.
at::Tensor shaped(const Fields& fields, const char* name, const OperatorPtr& op, Memory memory) {
  const at::Tensor flat = toFlat(fields.get(name), memory, name);
  const int64_t count = fields.has("count") ? fields.integer("count") : 1;
  if (count < 0 || flat.numel() != count * op->rows()) {
    throw Error("ERR_SHAPE_MISMATCH", std::string(name) + " should have " +
                                          std::to_string(op->rows()) + " elements for each of " +
                                          std::to_string(count) + " right-hand sides, got " +
                                          std::to_string(flat.numel()));
  }
  return fields.has("count") ? flat.view({count, op->rows()}) : flat;
}

Napi::Object describe(Napi::Env env, const SolverRecord& record) {
  auto result = Napi::Object::New(env);
  result.Set("iterations", static_cast<double>(record.iterations));
  result.Set("residualNorm", record.residualNorm);
  result.Set("converged", record.converged);
  result.Set("reason", record.reason);
  result.Set("message", record.message);
  return result;
}

using Solver = SolverResult (*)(const LinearOperator&, const at::Tensor&, const SolverOptions&,
                                const StopToken&);

auto solving(Solver solver) {
  return [solver](const Napi::CallbackInfo& info, Memory memory) {
    const Fields fields(info[0]);
    const OperatorPtr op = operatorOf(fields.get("operator"));
    requireSquare(*op, "a linear solver");
    const auto progress = Progress::make(fields.get("onIteration"), memory);
    // A callback of the caller's may transfer the arrays away while they are in use.
    const Memory held = progress ? Memory::kCopy : memory;
    const at::Tensor b = shaped(fields, "b", op, held);
    SolverOptions options;
    if (fields.has("tolerance")) options.tolerance = fields.number("tolerance");
    if (fields.has("maxIterations")) options.maxIterations = fields.integer("maxIterations");
    if (fields.has("preconditioner"))
      options.preconditioner = operatorOf(fields.get("preconditioner"));
    if (fields.has("x0")) options.x0 = shaped(fields, "x0", op, held);
    if (progress) {
      options.onIteration = [progress](int64_t rightHandSide, int64_t iteration, double norm) {
        return progress->report(rightHandSide, iteration, norm);
      };
    }
    return recordOf<SolverResult>(
        fields,
        [solver, b, options](const LinearOperator& a, const StopToken& stop) {
          const auto device = a.options().device();
          SolverOptions here = options;
          if (here.x0.defined()) here.x0 = here.x0.to(device);
          SolverResult result = solver(a, b.to(device), here, stop);
          result.x = result.x.cpu();
          return result;
        },
        [progress](Napi::Env env, Napi::Object record, const SolverResult& result) {
          if (progress) progress->finish();
          record.Set("x", toTypedArray(env, result.x));
          auto records = Napi::Array::New(env, result.records.size());
          for (uint32_t i = 0; i < result.records.size(); ++i)
            records.Set(i, describe(env, result.records[i]));
          record.Set("records", records);
        });
  };
}

Prepared eigenpairs(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  EigshOptions options;
  if (fields.has("k")) options.k = fields.integer("k");
  if (fields.has("which")) options.which = findWhich(fields.text("which"));
  if (fields.has("tolerance")) options.tolerance = fields.number("tolerance");
  if (fields.has("maxIterations")) options.maxIterations = fields.integer("maxIterations");
  if (fields.has("basis")) options.basis = fields.integer("basis");
  if (fields.has("seed")) options.seed = fields.seed("seed");
  return recordOf<EigshResult>(
      fields,
      [options](const LinearOperator& a, const StopToken& stop) { return eigsh(a, options, stop); },
      [](Napi::Env env, Napi::Object record, const EigshResult& result) {
        record.Set("eigenvalues", toTypedArray(env, result.eigenvalues));
        record.Set("eigenvectors", toTypedArray(env, result.eigenvectors));
        record.Set("residualNorms", toTypedArray(env, result.residualNorms));
        record.Set("iterations", static_cast<double>(result.iterations));
        record.Set("converged", result.converged);
        record.Set("reason", result.reason);
        record.Set("message", result.message);
      });
}

Prepared estimateTrace(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  const std::string name = fields.text("method");
  if (name != "hutchinson" && name != "hutch++")
    throw Error("ERR_INVALID_ARGUMENT",
                "method should be 'hutchinson' or 'hutch++', got '" + name + "'");
  const auto method = name == "hutch++" ? TraceMethod::kHutchPlusPlus : TraceMethod::kHutchinson;
  return recordOf<TraceEstimate>(
      fields,
      [method, samples = fields.integer("samples"), seed = fields.seed("seed")](
          const LinearOperator& a, const StopToken& stop) {
        return trace(a, method, samples, seed, stop);
      },
      [](Napi::Env, Napi::Object record, const TraceEstimate& result) {
        record.Set("estimate", result.estimate);
        record.Set("standardError", result.standardError);
        record.Set("products", static_cast<double>(result.products));
      });
}

Prepared stochasticDiagonal(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  return recordOf<DiagonalEstimate>(
      fields,
      [samples = fields.integer("samples"), seed = fields.seed("seed")](const LinearOperator& a,
                                                                        const StopToken& stop) {
        return estimateDiagonal(a, samples, seed, stop);
      },
      [](Napi::Env env, Napi::Object record, const DiagonalEstimate& result) {
        record.Set("diagonal", toTypedArray(env, result.diagonal));
        record.Set("standardError", toTypedArray(env, result.standardError));
      });
}

Prepared density(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  SpectralDensityOptions options;
  if (fields.has("probes")) options.probes = fields.integer("probes");
  if (fields.has("steps")) options.steps = fields.integer("steps");
  if (fields.has("gridPoints")) options.gridPoints = fields.integer("gridPoints");
  if (fields.has("margin")) options.margin = fields.number("margin");
  if (fields.has("sigma")) options.sigma = fields.number("sigma");
  if (fields.has("seed")) options.seed = fields.seed("seed");
  return recordOf<SpectralDensity>(
      fields,
      [options](const LinearOperator& a, const StopToken& stop) {
        return spectralDensity(a, options, stop);
      },
      [](Napi::Env env, Napi::Object record, const SpectralDensity& result) {
        record.Set("grid", toTypedArray(env, result.grid));
        record.Set("density", toTypedArray(env, result.density));
        record.Set("nodes", toRecord(env, result.nodes));
        record.Set("weights", toRecord(env, result.weights));
        record.Set("products", static_cast<double>(result.products));
        record.Set("finite", result.finite);
      });
}

}  // namespace

void addSolvers(Napi::Env env, Napi::Object exports) {
  addOperation(env, exports, "cg", solving(tc::cg));
  addOperation(env, exports, "minres", solving(tc::minres));
  addOperation(env, exports, "eigsh", eigenpairs);
  addOperation(env, exports, "trace", estimateTrace);
  addOperation(env, exports, "stochasticDiagonal", stochasticDiagonal);
  addOperation(env, exports, "spectralDensity", density);
}

}  // namespace tc::js
