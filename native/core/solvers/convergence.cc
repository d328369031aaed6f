#include "core/solvers/convergence.h"

#include <ATen/TensorOperators.h>

#include <algorithm>

#include "core/solvers/wanted.h"

namespace tc {
namespace {

/// A rival is out of the way when what is unknown about it is this small beside its distance.
constexpr double kResolved = 0.05;
/// Values that differ by this many units of A's rounding are the same.
constexpr double kSame = 1000;

double sizeOf(const at::Tensor& values) { return values.abs().max().item<double>(); }

}  // namespace

bool Convergence::isReached(const at::Tensor& wanted, const at::Tensor& residuals,
                            const at::Tensor& values) const {
  return wanted.numel() == k_ && (residuals <= boundOf(wanted, values)).all().item<bool>();
}

bool Convergence::isSame(const at::Tensor& wanted, const at::Tensor& before,
                         const at::Tensor& values) const {
  const at::Tensor bound = boundOf(before, values).clamp_min(sameWithin(values));
  return ((wanted - before).abs() <= bound).all().item<bool>();
}

bool Convergence::rivalsAreOut(const at::Tensor& values, const at::Tensor& order,
                               const at::Tensor& residuals) const {
  // Ritz values in the middle may be anything: nothing verifies them.
  if (which_ == Which::kSmallestMagnitude) return false;
  for (const Rival& rival : rivalsOf(values, order, k_, which_)) {
    const double unknown = residuals[rival.position].item<double>();
    const at::Tensor value = values.narrow(0, rival.position, 1);
    const double bound = std::max(boundOf(value, values).item<double>(), sameWithin(values));
    if (unknown > std::max(bound, kResolved * rival.distance)) return false;
  }
  return true;
}

at::Tensor Convergence::boundOf(const at::Tensor& some, const at::Tensor& values) const {
  return (some.abs() * tolerance_).clamp_min(sizeOf(values) * epsilon_ * kFloor);
}

double Convergence::sameWithin(const at::Tensor& values) const {
  return sizeOf(values) * epsilon_ * kSame;
}

}  // namespace tc
