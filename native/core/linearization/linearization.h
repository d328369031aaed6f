#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "core/program/point.h"

namespace tc {

/// Which implementation computes a product.
enum class Engine {
  kAuto,      ///< fused where the program and the device allow it, autograd elsewhere
  kFused,     ///< tile by tile on the CPU; ERR_UNSUPPORTED_OP for a program it does not recognise
  kAutograd,  ///< libtorch's autograd: any program, any device
};

/// y = f(θ, x) linearised at θ for one chunk of rows: J = ∂y/∂θ as a linear map. The forward pass
/// is paid once, when the linearisation is made; each product pays its linear part only.
///
/// Vectors over the parameters are flat, [P]; vectors over the outputs have the shape of y. Tensors
/// are of the precision and on the device of the point's parameters. To be called from one thread
/// at a time; nothing of it refers to the caller's memory once it is made.
class Linearization {
 public:
  virtual ~Linearization() = default;

  /// y, [n, …]
  virtual const at::Tensor& output() const = 0;
  /// J v for a tangent v, [P]; result of the shape of y.
  virtual at::Tensor jvp(const at::Tensor& v) = 0;
  /// Jᵀu for a cotangent u of the shape of y; result [P].
  virtual at::Tensor vjp(const at::Tensor& u) = 0;
  /// Jᵀ(J v), [P]; engines that can do both in one pass over the data override it.
  virtual at::Tensor matvec(const at::Tensor& v) { return vjp(jvp(v)); }
  /// "fused" or "autograd".
  virtual const char* engine() const { return "autograd"; }
  /// Bytes that are kept for later products.
  virtual int64_t bytes() const = 0;
};

/// Linearises at `point` (all its rows). `products` is how many products the caller expects: some
/// engines pay a longer set-up when many are to come. Throws Error ERR_UNSUPPORTED_OP.
std::unique_ptr<Linearization> linearize(const Point& point, Engine engine, int64_t products);

}  // namespace tc
