#include "core/losses/draws.h"

#include <ATen/Dispatch.h>
#include <ATen/core/PhiloxRNGEngine.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <numbers>
#include <type_traits>

namespace tc {
namespace {

/// Uniform on [0, 1), with as many bits as the type has: no draw rounds up to 1.
template <typename T>
T unit(at::Philox4_32& engine) {
  const uint64_t high = engine();
  const uint64_t bits = high << 32 | engine();
  if constexpr (std::is_same_v<T, double>) return static_cast<double>(bits >> 11) * 0x1p-53;
  return static_cast<T>(bits >> 40) * static_cast<T>(0x1p-24);
}

template <typename T>
T gaussian(at::Philox4_32& engine) {
  const T radius = std::sqrt(-2 * std::log(1 - unit<T>(engine)));
  return radius * std::cos(2 * std::numbers::pi_v<T> * unit<T>(engine));
}

/// Fills each element with what `draw` makes of the 128 bits that are its own.
template <typename Draw>
at::Tensor filled(at::IntArrayRef shape, at::ScalarType dtype, uint64_t seed, int64_t firstRow,
                  int64_t sample, const Draw& draw) {
  at::Tensor result = at::empty(shape, dtype);
  if (result.numel() == 0) return result;
  const int64_t rows = shape.front();
  const int64_t width = result.numel() / rows;
  AT_DISPATCH_FLOATING_TYPES(dtype, "draws", [&] {
    auto* element = result.mutable_data_ptr<scalar_t>();
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t place = 0; place < width; ++place) {
        at::Philox4_32 engine(seed, static_cast<uint64_t>(firstRow + row),
                              static_cast<uint64_t>(sample) << 32 | static_cast<uint64_t>(place));
        *element++ = draw(engine, scalar_t{});
      }
    }
  });
  return result;
}

}  // namespace

at::Tensor Draws::uniform(at::IntArrayRef shape, int64_t sample, at::ScalarType dtype) const {
  return filled(shape, dtype, seed_, firstRow_, sample,
                [](at::Philox4_32& engine, auto kind) { return unit<decltype(kind)>(engine); });
}

at::Tensor Draws::normal(at::IntArrayRef shape, int64_t sample, at::ScalarType dtype) const {
  return filled(shape, dtype, seed_, firstRow_, sample,
                [](at::Philox4_32& engine, auto kind) { return gaussian<decltype(kind)>(engine); });
}

}  // namespace tc
