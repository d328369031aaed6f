#include "core/solvers/least_squares.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "core/profiler/stage.h"
#include "core/runtime/error.h"
#include "core/runtime/transfer.h"
#include "core/solvers/scale.h"

namespace tc {
namespace {

struct Options {
  at::Tensor b;
  double damp = 0;
  double atol = 1e-6;   ///< relative error of A
  double btol = 1e-6;   ///< relative error of b
  double conlim = 1e8;  ///< 0: never
  int64_t maxIterations = 0;
  at::Tensor x0;  ///< may be undefined (zero)
  OnIteration onIteration;
};

struct Ending {
  const char* reason;
  const char* message;
};

Options optionsOf(const LeastSquaresMethod& method, const LinearOperator& a,
                  const Arguments& given) {
  const auto here = [&](const char* name) {
    const at::Tensor vector = given.tensor(name);
    return vector.defined() ? toDevice(vector, a.options().device()) : vector;
  };
  Options options;
  options.b = here("b");
  options.damp = given.number("damp", options.damp);
  options.atol = given.number("atol", options.atol);
  options.btol = given.number("btol", options.btol);
  options.conlim = given.number("conlim", options.conlim);
  options.maxIterations = given.integer("maxIterations", method.maxIterations);
  options.x0 = here("x0");
  options.onIteration = given.onIteration("onIteration");

  const auto& [b, damp, atol, btol, conlim, maxIterations, x0, onIteration] = options;
  const std::string name = method.name;
  if (!b.defined()) throw Error("ERR_INVALID_ARGUMENT", name + " needs a right-hand side b");
  if (b.dim() != 1 || b.numel() != a.rows())
    throw Error("ERR_SHAPE_MISMATCH", "b should have one element for each of the operator's " +
                                          std::to_string(a.rows()) + " rows");
  if (b.dtype() != a.options().dtype())
    throw Error("ERR_DTYPE_MISMATCH", "b should have the precision of the operator");
  if (x0.defined() && (x0.dim() != 1 || x0.numel() != a.cols()))
    throw Error("ERR_SHAPE_MISMATCH", "x0 should have one element for each of the operator's " +
                                          std::to_string(a.cols()) + " columns");
  if (!(atol >= 0 && btol >= 0 && conlim >= 0 && maxIterations >= 0 && std::isfinite(damp)))
    throw Error("ERR_INVALID_ARGUMENT",
                "atol, btol, conlim and maxIterations should not be negative, damp finite");
  return options;
}

constexpr Ending kNoConvergence{"maxIterations", "no convergence within the iterations allowed"};

/// SciPy's tests, in the order of their precedence.
Ending endingOf(const LeastSquaresState& state, double normB, const Options& options, bool last) {
  const auto [residual, normalResidual, normA, conditionA, normX] = state;
  const double ctol = options.conlim > 0 ? 1 / options.conlim : 0;
  const char* const ill =
      "the condition of A seems to be larger than conlim; damp it, or raise conlim";
  const double size = normB + normA * normX;
  const double optimality = normA * residual > 0 ? normalResidual / (normA * residual)
                                                 : std::numeric_limits<double>::infinity();
  if (residual <= options.btol * normB + options.atol * normA * normX) return {"solution", ""};
  if (optimality <= options.atol) return {"leastSquares", ""};
  if (1 / conditionA <= ctol) return {"condition", ill};
  if (1 + residual / size <= 1) return {"solution", ""};
  if (1 + optimality <= 1) return {"leastSquares", ""};
  if (options.conlim > 0 && 1 + 1 / conditionA <= 1) return {"condition", ill};
  if (last) return kNoConvergence;
  return {nullptr, ""};
}

struct Found {
  at::Tensor x;
  int64_t iterations = 0;
  LeastSquaresState state;
};

/// Steps with x, A and b in units of their own, by which neither squares overflow nor products
/// vanish.
Ending iterate(Found& found, const LeastSquaresMethod& method, Bidiagonalization& process,
               const Options& options, double normB, double damp, int unitOfB) {
  const std::unique_ptr<LeastSquaresRecurrence> recurrence = method.begin(process, damp);
  while (found.iterations < options.maxIterations) {
    const profiling::Stage iteration(method.iterationStage);
    ++found.iterations;
    process.step();
    if (!std::isfinite(process.alpha) || !std::isfinite(process.beta))
      return {"nan", "a product with the operator gave NaN or infinity"};
    found.state = recurrence->advance(process, found.x);
    const double residual = found.state.residual;
    if (!std::isfinite(residual)) return {"nan", "the iteration gave NaN or infinity"};
    const bool goesOn = !options.onIteration ||
                        options.onIteration(0, found.iterations, std::ldexp(residual, unitOfB));
    const bool last = found.iterations >= options.maxIterations;
    const Ending ending = endingOf(found.state, normB, options, last);
    if (ending.reason != nullptr) return ending;
    if (!goesOn) return {"stopped", "stopped by onIteration"};
  }
  return kNoConvergence;
}

Ending solve(Found& found, const LeastSquaresMethod& method, const LinearOperator& a,
             const Options& options, const StopToken& stop) {
  const at::Tensor& b = options.b;
  const double normB = normOf(b);
  Bidiagonalization process(a, options.x0.defined() ? b - a.matvec(found.x, stop) : b, stop);
  if (!std::isfinite(process.beta) || !std::isfinite(process.alpha))
    return {"nan", "the right-hand side, the start or a product holds NaN or infinity"};
  if (process.beta == 0) return {"solution", ""};
  if (process.alpha == 0) return {"leastSquares", ""};
  if (normB == 0 && options.damp == 0) {
    found.x.zero_();  // a solution, wherever the start was
    return {"solution", ""};
  }
  const int unitOfB = exponentOf(process.beta);
  const int unitOfA = exponentOf(std::max(process.alpha, std::abs(options.damp)));
  const int unitOfX = unitOfB - unitOfA;
  process.measure(unitOfB, unitOfA);
  const at::Tensor start = found.x;
  found.x = scaledBy(found.x, -unitOfX);
  const Ending ending = iterate(found, method, process, options, std::ldexp(normB, -unitOfB),
                                std::ldexp(options.damp, -unitOfA), unitOfB);
  const at::Tensor x = scaledBy(found.x, unitOfX);
  const bool lost = isLost(found.x, x);
  found.state.normA = std::ldexp(found.state.normA, unitOfA);
  found.x = std::isfinite(largestOf(x)) ? x : start;
  return lost ? Ending{"range", kOutOfRange} : ending;
}

}  // namespace

Record solveLeastSquares(const LeastSquaresMethod& method, const LinearOperator& a,
                         const Arguments& given, const StopToken& stop) {
  const profiling::Stage stage(method.stage);
  const Options options = optionsOf(method, a, given);
  Found found;
  found.x = options.x0.defined() ? options.x0.clone() : at::zeros({a.cols()}, a.options());
  const Ending ending = solve(found, method, a, options, stop);
  const std::string_view reason = ending.reason;
  const at::Tensor r = options.b - a.matvec(found.x, stop);
  const at::Tensor moved = options.x0.defined() ? found.x - options.x0 : found.x;
  const at::Tensor normal = a.rmatvec(r, stop) - moved * options.damp * options.damp;
  return {{{"x", found.x},
           {"iterations", found.iterations},
           {"residualNorm", normOf(r)},
           {"normalResidualNorm", normOf(normal)},
           {"normA", found.state.normA},
           {"conditionA", found.state.conditionA},
           {"converged", reason == "solution" || reason == "leastSquares"},
           {"reason", ending.reason},
           {"message", ending.message}}};
}

}  // namespace tc
