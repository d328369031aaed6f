#include "core/solvers/xtrace.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/hypot.h>
#include <ATen/ops/linalg_solve_triangular.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/operators/factorizations.h"
#include "core/profiler/stage.h"
#include "core/runtime/bytes.h"
#include "core/runtime/device.h"
#include "core/runtime/error.h"
#include "core/runtime/precision.h"
#include "core/solvers/probes.h"
#include "core/solvers/scale.h"

namespace tc {
namespace {

constexpr int64_t kSamples = 30;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// The images of random vectors and their basis. Vectors are rows; small matrices are float64 on
/// the CPU.
struct Sketch {
  at::Tensor omega;   ///< [l, n], the random vectors
  int exponent = 0;   ///< A is taken by 2^-exponent, which brings the images near 1
  at::Tensor images;  ///< [l, n], A ω_i
  at::Tensor q;       ///< [l, n], orthonormal rows that span the images
  at::Tensor r;       ///< [l, l], upper triangular: images = rᵀ q, up to rounding
  /// [l, l]; column i: the direction, within the basis, that only the image of ω_i has
  at::Tensor s;
  bool finite = true;
  bool whole = false;  ///< the basis is all of the space, or A is 0

  Sketch(const LinearOperator& a, int64_t length, bool normal, uint64_t seed,
         const StopToken& stop) {
    // Vectors, images and basis, each once more in the factorization.
    const int64_t bytes = countOf(6, bytesOf(length, a.rows(), a.options()));
    requireMemory(a.options().device(), bytes, "the sketch");
    Probes probes(a, seed);
    std::vector<at::Tensor> vectors;
    vectors.reserve(static_cast<size_t>(length));
    for (int64_t i = 0; i < length; ++i)
      vectors.push_back(normal ? probes.normal() : probes.bounded());
    omega = at::stack(vectors);
    images = a.matmat(omega, stop);
    finite = std::isfinite(largestOf(images.flatten()));
    if (!finite) return;
    exponent = exponentOf(images);
    images = scaledBy(images, -exponent);
    const auto [columns, triangle] = reducedQr(images.t(), stop);
    q = columns.t().contiguous();
    r = wide(triangle);
    const double rounding = largestOf(r) * epsilonOf(images) * static_cast<double>(length);
    whole = length == a.rows() || rounding == 0;
    if (whole) return;
    // Of a matrix of a low rank, what is left of an image without the others is rounding: as much
    // as that of each of its own, which keeps r invertible.
    r = at::where(r.abs() <= rounding, 0, r);
    r.diagonal().masked_fill_(r.diagonal() == 0, rounding);
    // What is orthogonal to all other columns of r is the column of r⁻ᵀ.
    const at::Tensor identity = at::eye(length, at::kDouble);
    s = at::linalg_solve_triangular(r.t(), identity, /*upper=*/false);
    s = s / at::linalg_vector_norm(s, 2, {0}, /*keepdim=*/true);
  }

  /// 2^-exponent times products with A or Aᵀ.
  at::Tensor scaled(const at::Tensor& products) const { return scaledBy(products, -exponent); }

  static at::Tensor wide(const at::Tensor& small) { return small.to(at::kCPU, at::kDouble); }
  int64_t length() const { return omega.size(0); }
};

/// Random vectors of so many products, half of which go into the basis.
int64_t checkedLength(const LinearOperator& a, int64_t samples, const char* purpose) {
  requireSquare(a, purpose);
  if (samples < 4) throw Error("ERR_INVALID_ARGUMENT", "samples should be at least 4");
  return std::min(samples / 2, a.rows());
}

}  // namespace

TraceEstimate xtrace(const LinearOperator& a, int64_t samples, uint64_t seed,
                     const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::xtrace");
  const int64_t length = checkedLength(a, samples, "xtrace");
  if (a.rows() == 0) return {0, 0, 0};
  const Sketch sketch(a, length, /*normal=*/true, seed, stop);
  if (!sketch.finite) return {kNan, kNan, length};
  const at::Tensor z = sketch.scaled(a.matmat(sketch.q, stop));
  const int64_t products = 2 * length;
  if (!std::isfinite(largestOf(z.flatten()))) return {kNan, kNan, products};
  const at::Tensor h = Sketch::wide(at::matmul(sketch.q, z.t()));  // QᵀA Q
  const double inside = h.trace().item<double>();
  if (sketch.whole) return {std::ldexp(inside, sketch.exponent), 0, products};

  const at::Tensor w = Sketch::wide(at::matmul(sketch.q, sketch.omega.t()));  // Qᵀω_i
  const at::Tensor t = Sketch::wide(at::matmul(z, sketch.omega.t()));         // (A Q)ᵀω_i
  const auto n = static_cast<double>(a.rows());
  std::vector<double> values;
  for (int64_t i = 0; i < length; ++i) {
    const at::Tensor s = sketch.s.select(1, i);
    const at::Tensor wi = w.select(1, i);
    const at::Tensor inBasis = wi - s * s.dot(wi);  // of ω_i, in the basis without its image
    const at::Tensor omega = sketch.omega[i];
    // μᵀA μ for the rest μ of ω_i
    const double form = dotOf(omega, sketch.images[i]) -
                        inBasis.dot(sketch.r.select(1, i)).item<double>() -
                        inBasis.dot(t.select(1, i)).item<double>() +
                        inBasis.dot(at::matmul(h, inBasis)).item<double>();
    const double norm = normOf(omega);
    const double square = norm * norm - inBasis.dot(inBasis).item<double>();
    const double scale = (n - static_cast<double>(length) + 1) / square;
    values.push_back(inside - s.dot(at::matmul(h, s)).item<double>() + scale * form);
  }
  const TraceEstimate result = summarize(values);
  return {std::ldexp(result.estimate, sketch.exponent),
          std::ldexp(result.standardError, sketch.exponent), products};
}

DiagonalEstimate xdiag(const LinearOperator& a, int64_t samples, uint64_t seed,
                       const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::xdiag");
  const int64_t length = checkedLength(a, samples, "xdiag");
  const auto all = [&](double value) { return at::full({a.rows()}, value, a.options()); };
  if (a.rows() == 0) return {all(0), all(0)};
  const Sketch sketch(a, length, /*normal=*/false, seed, stop);
  if (!sketch.finite) return {all(kNan), all(kNan)};
  const at::Tensor z = sketch.scaled(a.rmatmat(sketch.q, stop));  // rows Aᵀq_j
  const at::Tensor inside = (sketch.q * z).sum(0);
  if (sketch.whole) return {scaledBy(inside, sketch.exponent), all(0)};

  const at::Tensor s = sketch.s.t().to(a.options());  // row i: s_i
  const at::Tensor own = at::matmul(s, sketch.q);     // Q s_i
  const at::Tensor ownImages = at::matmul(s, z);      // AᵀQ s_i
  // What the basis without the image of ω_i leaves of it: Q s_i (s_i · r_i).
  const at::Tensor left = (sketch.s * sketch.r).sum(0).to(a.options()).unsqueeze(1);
  const at::Tensor estimates = inside - own * ownImages + own * left / sketch.omega;
  const at::Tensor mean = estimates.mean(0);
  const auto count = static_cast<double>(length);  // at least 2, as one dimension is a whole basis
  // The root of the sum of squares, which neither overflows nor vanishes.
  at::Tensor spread = at::zeros_like(mean);
  for (const at::Tensor& each : (estimates - mean).unbind(0)) spread = at::hypot(spread, each);
  const auto unscaled = [&](const at::Tensor& x) { return scaledBy(x, sketch.exponent); };
  return {unscaled(mean), unscaled(spread / std::sqrt(count * (count - 1)))};
}

namespace {

Record runTrace(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  return recordOf(xtrace(a, given.integer("samples", kSamples), given.seed("seed"), stop));
}

Record runDiagonal(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  const DiagonalEstimate result =
      xdiag(a, given.integer("samples", kSamples), given.seed("seed"), stop);
  return {{{"diagonal", result.diagonal}, {"standardError", result.standardError}}};
}

const Rows<SolverMethod> kRows(solverMethods(), {{"xtrace", runTrace}, {"xdiag", runDiagonal}});

}  // namespace
}  // namespace tc
