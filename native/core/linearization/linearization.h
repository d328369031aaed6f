#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "core/linearization/row_factors.h"
#include "core/program/point.h"
#include "core/runtime/stop.h"

namespace tc {

/// Which implementation computes a product.
enum class Engine {
  kAuto,      ///< fused where the program and the device allow it, autograd elsewhere
  kFused,     ///< tile by tile on the CPU; ERR_UNSUPPORTED_OP for a program it does not recognize
  kAutograd,  ///< libtorch's autograd: any program, any device
};

/// A cotangent of y, of its shape, that depends on y itself.
using CotangentOf = std::function<at::Tensor(const at::Tensor& y)>;

/// y = f(θ, x) linearized at θ for one chunk of rows: J = ∂y/∂θ as a linear map. The forward pass
/// is paid once, when the linearization is made; each product pays its linear part only.
///
/// Vectors over the parameters are flat, [P]; vectors over the outputs have the shape of y. Tensors
/// are of the precision and on the device of the point's parameters. To be called from one thread
/// at a time; the point's tensors should stay as they are. Everything that computes throws Error
/// ABORTED soon after a stop was requested.
class Linearization {
 public:
  virtual ~Linearization() = default;

  /// y, [n, …]
  virtual const at::Tensor& output() const = 0;
  /// J v for a tangent v, [P]; result of the shape of y.
  virtual at::Tensor jvp(const at::Tensor& v, const StopToken& stop) = 0;
  /// Jᵀu for a cotangent u of the shape of y; result [P].
  virtual at::Tensor vjp(const at::Tensor& u, const StopToken& stop) = 0;
  /// Jᵀu of the cotangent of y that is asked for, once or again; result [P].
  virtual at::Tensor pullback(const CotangentOf& cotangent, const StopToken& stop) {
    return vjp(cotangent(output()), stop);
  }
  /// Jᵀ(J v), [P]; engines that can do both in one pass over the data override it.
  virtual at::Tensor matvec(const at::Tensor& v, const StopToken& stop) {
    return vjp(jvp(v, stop), stop);
  }
  /// The same for each of k ≥ 1 vectors: J v for tangents [k, P], [k, n, …]; Jᵀu for cotangents of
  /// that shape; Jᵀ(J v). Engines that read their data once for all override them.
  virtual at::Tensor jvps(const at::Tensor& vectors, const StopToken& stop);
  virtual at::Tensor vjps(const at::Tensor& cotangents, const StopToken& stop);
  virtual at::Tensor matmat(const at::Tensor& vectors, const StopToken& stop);
  /// Writes the per-sample Jacobian of rows [begin, end) into `out`, [(end − begin)·outputs, P],
  /// contiguous: row `sample·outputs + output` is the gradient of that output. For rows that do not
  /// depend on one another.
  virtual void jacobian(int64_t begin, int64_t end, const at::Tensor& out,
                        const StopToken& stop) = 0;
  /// diag(JᵀCJ), [P], of a C that `factors` tells for the rows of this linearization; nothing where
  /// the engine has no better way than rows of J. For rows that do not depend on one another.
  virtual std::optional<at::Tensor> diagonal(const RowFactorsOf& /*factors*/,
                                             const StopToken& /*stop*/) {
    return std::nullopt;
  }
  /// "fused" or "autograd".
  virtual const char* engine() const { return "autograd"; }
  /// Bytes that are kept for later products.
  virtual int64_t bytes() const = 0;
};

/// Linearizes at `point` (all its rows). `products` is how many products the caller expects: some
/// engines pay a longer set-up when many are to come. Throws Error ERR_UNSUPPORTED_OP, ABORTED.
std::unique_ptr<Linearization> linearize(const Point& point, Engine engine, int64_t products,
                                         const StopToken& stop);

/// The same for one product, or for rows of J: `matvec` and `jacobian` compute nothing beforehand
/// and keep nothing; `pullback`, of rows that the program runs at once, keeps no more than the
/// linearization would. Where the rows have to be cut, `matvec` takes `chunkSize` of them
/// at a time, or for 0 as many as `rowsAtOnce` says.
std::unique_ptr<Linearization> linearizeOnce(const Point& point, Engine engine, int64_t chunkSize);

}  // namespace tc
