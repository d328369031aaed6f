// The autograd engine on random programs, against forward-mode dual numbers, finite differences and
// plain backward passes.
#include "random_programs.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <set>

#include "core/linearization/autograd/autograd.h"
#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/dual_level.h"
#include "core/products/on_the_fly.h"
#include "core/program/program.h"
#include "models.h"
#include "program_text.h"
#include "scoped_threads.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

/// J v by one forward pass of dual numbers; none where an operator has no such derivative.
std::optional<at::Tensor> byDuals(const Point& point, const at::Tensor& v) {
  const DifferentiableKernels kernels(*point.program);
  const DualLevel level;
  const auto tangents = point.program->unflatten(v);
  auto duals = point.program->unflatten(point.params);
  for (size_t i = 0; i < duals.size(); ++i)
    duals[i] = at::_make_dual(duals[i], tangents[i], level.index());
  try {
    const at::Tensor y = point.program->run(duals, point.inputs, point.constants);
    const auto [primal, tangent] = at::_unpack_dual(y, level.index());
    return tangent.defined() ? tangent.clone() : at::zeros_like(primal);
  } catch (const c10::NotImplementedError&) {
    return std::nullopt;
  }
}

/// (f(θ + hv) − f(θ − hv)) / 2h
at::Tensor slope(const Point& point, const at::Tensor& v, double h) {
  return (runModel(point, point.params + v * h) - runModel(point, point.params - v * h)) / (2 * h);
}

/// Jᵀu by one backward pass.
at::Tensor byBackward(const Point& point, const at::Tensor& u) {
  const at::Tensor params = point.params.detach().clone().requires_grad_();
  const at::Tensor y = runModel(point, params);
  if (!y.requires_grad()) return at::zeros_like(params);
  return torch::autograd::grad({y}, {params}, {u})[0];
}

/// ‖a − b‖ against ‖b‖, or against `floor` where that is less: sums of a softmax, say, have
/// derivatives that consist of rounding errors.
double error(const at::Tensor& a, const at::Tensor& b, double floor) {
  return (a - b).norm().item<double>() / std::max(b.norm().item<double>(), floor);
}

constexpr double kTolerance = 1e-11;
constexpr double kSlopeTolerance = 1e-5;

struct Tally {
  int64_t programs = 0;
  int64_t slopes = 0;
  int64_t duals = 0;
  int64_t zero = 0;
  std::set<std::string> operations;
};

void checkProgram(const RandomProgram& program, uint64_t seed, Tally& tally) {
  const Point& point = program.point;
  const at::Tensor y = runModel(point, point.params);
  REQUIRE(at::isfinite(y).all().item<bool>());
  const auto linear = linearizeAutograd(point, StopToken());
  CHECK(linear->output().sizes() == y.sizes());
  CHECK(difference(linear->output(), y) < 1e-13);

  const at::Tensor u = randomLike(y, seed);
  const at::Tensor jtu = byBackward(point, u);
  at::Tensor v = randomLike(point.params, seed + 1);
  for (int product = 0; product < 3; ++product) {
    CAPTURE(product);
    // The second time only some parameters have a tangent.
    if (product == 1) v = v * (randomLike(v, seed + 2) > 1);
    const at::Tensor jv = linear->jvp(v, StopToken());
    const double floor = std::max(v.norm().item<double>(), 1e-6);
    REQUIRE(jv.sizes() == y.sizes());
    if (const auto expected = byDuals(point, v)) {
      ++tally.duals;
      CHECK(error(jv, *expected, floor) <= kTolerance);
    }
    if (program.differentiable && product == 0) {
      // Where two steps differ, there is a kink between them.
      const at::Tensor wide = slope(point, v, 2e-6);
      const at::Tensor narrow = slope(point, v, 1e-6);
      if (error(wide, narrow, floor) <= kSlopeTolerance) {
        ++tally.slopes;
        CHECK(error(jv, narrow, floor) <= 2 * kSlopeTolerance);
      }
    }
    CHECK(error(linear->vjp(u, StopToken()), jtu, u.norm().item<double>()) <= kTolerance);
    const double scale = std::max(jv.norm().item<double>() * u.norm().item<double>(),
                                  jtu.norm().item<double>() * v.norm().item<double>());
    const double difference = ((jv * u).sum() - jtu.dot(v)).abs().item<double>();
    CHECK(difference <= kTolerance * std::max(scale, floor));
    const at::Tensor jtjv = byBackward(point, jv);
    const double size = std::max(jv.norm().item<double>(), floor);
    CHECK(error(linear->matvec(v, StopToken()), jtjv, size) <= kTolerance);
    CHECK(error(matvecOnTheFly(point, v, Engine::kAutograd, 0, StopToken()), jtjv, size) <=
          kTolerance);
    CHECK(at::equal(linear->jvp(v, StopToken()), jv));
    if (product == 0 && jv.abs().max().item<double>() == 0) ++tally.zero;
  }
  CHECK(linear->jvp(at::zeros_like(v), StopToken()).abs().max().item<double>() == 0);
  CHECK(linear->vjp(at::zeros_like(y), StopToken()).abs().max().item<double>() == 0);
}

}  // namespace

TEST_CASE("the autograd engine agrees with dual numbers on random programs") {
  const Seeds which = seeds(1, 2000);
  const Threads single(1);
  Tally tally;
  for (uint64_t seed = which.first; seed < which.first + which.count; ++seed) {
    CAPTURE(seed);
    const RandomProgram program = randomProgram(seed);
    const std::string text = programText(program.point);
    CAPTURE(text);
    ++tally.programs;
    try {
      checkProgram(program, seed, tally);
    } catch (const std::exception& failure) {
      FAIL_CHECK(std::string(failure.what()));
    }
    tally.operations.insert(program.operations.begin(), program.operations.end());
  }
  if (tally.programs >= 500) {
    // The checks that are left out where they cannot be made are made nearly everywhere.
    CHECK(tally.duals > 2.9 * tally.programs);
    CHECK(tally.slopes > 0.9 * tally.programs);
    CHECK(tally.zero < 0.15 * tally.programs);
    for (const std::string& name : operationNames()) {
      CAPTURE(name);
      CHECK(tally.operations.count(name) == 1);
    }
  }
}
