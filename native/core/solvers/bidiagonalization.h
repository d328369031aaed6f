#pragma once

#include <ATen/core/Tensor.h>

#include "core/operators/linear_operator.h"

namespace tc {

/// A plane rotation: c a + s b = r ≥ 0, c b − s a = 0.
struct Rotation {
  double c;
  double s;
  double r;

  Rotation(double a, double b);
};

/// A V = U B with a lower bidiagonal B, begun with u ∝ r (Golub & Kahan 1965): β u = A v − α u and
/// α v = Aᵀu − β v in each step. Products throw ABORTED.
class Bidiagonalization {
 public:
  /// `r`, [rows], decides the first u, v, α and β. Both references outlive this.
  Bidiagonalization(const LinearOperator& a, const at::Tensor& r, const StopToken& stop);

  double alpha = 0;
  double beta = 0;
  /// From now on α and β are in units of 2^ofA, the β there is in units of 2^ofR. To be called
  /// before the first step.
  void measure(int ofR, int ofA);
  /// [cols], of norm 1, or zero. The next step writes into it.
  const at::Tensor& v() const { return v_; }

  void step();

 private:
  const LinearOperator& a_;
  const StopToken& stop_;
  int unit_ = 0;
  at::Tensor u_;
  at::Tensor v_;
};

}  // namespace tc
