#include "core/solvers/bidiagonalization.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "core/solvers/scale.h"

namespace tc {
namespace {

/// ‖x‖, and x of norm 1 unless it is zero.
double normalize(at::Tensor& x) {
  const double norm = normOf(x);
  if (norm > 0) x.div_(norm);
  return norm;
}

}  // namespace

Rotation::Rotation(double a, double b) : r(std::hypot(a, b)) {
  c = r > 0 ? a / r : 1;
  s = r > 0 ? b / r : 0;
}

Bidiagonalization::Bidiagonalization(const LinearOperator& a, const at::Tensor& r,
                                     const StopToken& stop)
    : a_(a), stop_(stop), u_(r.clone()), v_(at::zeros({a.cols()}, a.options())) {
  beta = normalize(u_);
  if (beta > 0) v_ = a_.rmatvec(u_, stop_);
  alpha = normalize(v_);
}

void Bidiagonalization::measure(int ofR, int ofA) {
  beta = std::ldexp(beta, -ofR);
  alpha = std::ldexp(alpha, -ofA);
  unit_ = ofA;
}

void Bidiagonalization::step() {
  u_ = a_.matvec(v_, stop_).sub_(u_, std::ldexp(alpha, unit_));
  const double size = normalize(u_);
  beta = std::ldexp(size, -unit_);
  if (!(size > 0)) return;
  v_ = a_.rmatvec(u_, stop_).sub_(v_, size);
  alpha = std::ldexp(normalize(v_), -unit_);
}

}  // namespace tc
