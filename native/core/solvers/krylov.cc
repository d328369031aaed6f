#include "core/solvers/krylov.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "core/profiler/stage.h"
#include "core/runtime/bytes.h"
#include "core/runtime/device.h"
#include "core/runtime/precision.h"
#include "core/solvers/scale.h"

namespace tc {
namespace {

/// What remains of a vector counts as rounding up to this many units of its precision.
constexpr double kNothingLeft = 32;

/// Takes the first `count` basis vectors out of w and returns the coefficients.
at::Tensor project(const at::Tensor& vectors, int64_t count, at::Tensor& w, const StopToken& stop) {
  const at::Tensor basis = vectors.narrow(0, 0, count);
  at::Tensor total;
  for (int pass = 0; pass < 2; ++pass) {
    stop.poll();
    const at::Tensor coefficients = at::matmul(basis, w);
    stop.poll();
    w = w - at::matmul(coefficients, basis);
    total = pass == 0 ? coefficients : total + coefficients;
  }
  return total;
}

}  // namespace

KrylovBasis::KrylovBasis(const LinearOperator& a, int64_t m) {
  requireMemory(a.options().device(), bytesOf(m + 1, a.rows(), a.options()), "the Lanczos basis");
  vectors = at::empty({m + 1, a.rows()}, a.options());
  projected = at::zeros({m, m}, at::kDouble);
}

bool KrylovBasis::extend(const LinearOperator& a, int64_t j, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::lanczos_step");
  at::Tensor w = a.matvec(vectors[j], stop);
  const int exponent = exponentOf(w);
  w = scaledBy(w, -exponent);
  const double length = normOf(w);
  if (!std::isfinite(std::ldexp(length, exponent))) return false;
  const at::Tensor column =
      scaledBy(project(vectors, j + 1, w, stop).to(at::kCPU, at::kDouble), exponent);
  projected.narrow(0, 0, j + 1).select(1, j).copy_(column);
  projected.narrow(1, 0, j + 1).select(0, j).copy_(column);
  next = normOf(w);
  if (next <= length * kNothingLeft * epsilonOf(w)) {
    next = 0;
  } else {
    vectors[j + 1].copy_(w / next);
    next = std::ldexp(next, exponent);
  }
  return true;
}

bool KrylovBasis::insert(const at::Tensor& vector, int64_t count, const StopToken& stop) {
  at::Tensor w = vector;
  const double length = normOf(w);
  if (count > 0) project(vectors, count, w, stop);
  const double left = normOf(w);
  if (!(left > length * kNothingLeft * epsilonOf(w))) return false;
  vectors[count].copy_(w / left);
  return true;
}

}  // namespace tc
