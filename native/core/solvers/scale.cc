#include "core/solvers/scale.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tc {
namespace {

/// Magnitudes within 2^±this are left alone: their products are far from both ends of float32.
constexpr int kOrdinary = 16;
/// Elements that are widened to float64 at once.
constexpr int64_t kBlock = 1 << 18;

/// The sum over blocks of ⟨x, y⟩, in float64.
double wideDot(const at::Tensor& x, const at::Tensor& y) {
  at::Tensor total = at::zeros({}, x.options().dtype(at::kDouble));
  for (int64_t first = 0; first < x.numel(); first += kBlock) {
    const int64_t count = std::min(kBlock, x.numel() - first);
    const at::Tensor left = x.narrow(0, first, count).to(at::kDouble);
    total.add_(at::dot(left, x.is_same(y) ? left : y.narrow(0, first, count).to(at::kDouble)));
  }
  return total.item<double>();
}

}  // namespace

int exponentOf(const at::Tensor& x) { return exponentOf(largestOf(x)); }

int exponentOf(double size) {
  if (!std::isfinite(size) || size == 0) return 0;
  const int exponent = std::ilogb(size);
  return std::abs(exponent) <= kOrdinary ? 0 : exponent;
}

at::Tensor scaledBy(const at::Tensor& x, int exponent) {
  // By steps that are numbers of the precision themselves.
  const int most = x.scalar_type() == at::kDouble ? 1000 : 120;
  at::Tensor result = x;
  while (exponent != 0) {
    const int step = std::clamp(exponent, -most, most);
    result = result * std::ldexp(1.0, step);
    exponent -= step;
  }
  return result;
}

double largestOf(const at::Tensor& x) {
  return x.numel() == 0
             ? 0
             : at::linalg_vector_norm(x, std::numeric_limits<double>::infinity()).item<double>();
}

bool isLost(const at::Tensor& scaled, const at::Tensor& x) {
  const double least = x.scalar_type() == at::kDouble ? std::numeric_limits<double>::min()
                                                      : std::numeric_limits<float>::min();
  const double before = largestOf(scaled);
  const double after = largestOf(x);
  return std::isfinite(before) && (!std::isfinite(after) || (after < least && before > 0));
}

double normOf(const at::Tensor& x) {
  // The square of a float32 number is an ordinary float64 number.
  if (x.scalar_type() != at::kDouble) return std::sqrt(wideDot(x, x));
  const double norm = at::linalg_vector_norm(x).item<double>();
  constexpr double kLeast = 1e-140;
  constexpr double kMost = 1e140;
  if (norm >= kLeast && norm <= kMost) return norm;
  const int exponent = exponentOf(x);
  if (exponent == 0) return norm;  // zero, NaN or infinity
  return std::ldexp(at::linalg_vector_norm(scaledBy(x, -exponent)).item<double>(), exponent);
}

double dotOf(const at::Tensor& x, const at::Tensor& y) {
  return x.scalar_type() == at::kDouble ? at::dot(x, y).item<double>() : wideDot(x, y);
}

}  // namespace tc
