#include "core/losses/draws.h"

#include <ATen/Dispatch.h>
#include <ATen/core/PhiloxRNGEngine.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <type_traits>
#include <utility>

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

/// Rates from which the search by steps of one takes too long.
constexpr double kSearched = 10;
/// Of a pair of numbers at most one in seven is rejected, so that nothing ever needs so many.
constexpr int kMostPairs = 64;

/// The number whose interval of the cumulative distribution `u` falls into.
double searchedPoisson(double rate, double u) {
  double probability = std::exp(-rate);
  double k = 0;
  // Where probabilities no longer add anything, u is as near to 1 as rounding tells.
  while (u >= probability && probability > 0) {
    u -= probability;
    probability *= rate / ++k;
  }
  return k;
}

/// By transformed rejection (PTRS: Hörmann 1993, "The transformed rejection method for generating
/// Poisson random variables"). `pair` gives the nth pair of numbers.
template <typename Pair>
double rejectedPoisson(double rate, const Pair& pair) {
  const double b = 0.931 + 2.53 * std::sqrt(rate);
  const double a = -0.059 + 0.02483 * b;
  const double inverseAlpha = 1.1239 + 1.1328 / (b - 3.4);
  const double immediate = 0.9277 - 3.6224 / (b - 2);
  double k = std::floor(rate);
  for (int n = 0; n < kMostPairs; ++n) {
    const auto [first, v] = pair(n);
    const double u = first - 0.5;
    const double us = 0.5 - std::abs(u);
    k = std::floor((2 * a / us + b) * u + rate + 0.43);
    if (us >= 0.07 && v <= immediate) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    const double bound = -rate + k * std::log(rate) - std::lgamma(k + 1);
    if (std::log(v) + std::log(inverseAlpha) - std::log(a / (us * us) + b) <= bound) return k;
  }
  return std::max(0.0, k);
}

}  // namespace

at::Tensor Draws::poisson(const at::Tensor& rates, int64_t sample) const {
  const at::Tensor given = rates.to(at::kDouble).contiguous();
  at::Tensor result = at::empty(given.sizes(), given.options());
  if (result.numel() == 0) return result.to(rates.scalar_type());
  const int64_t width = result.numel() / result.size(0);
  const auto* rate = given.const_data_ptr<double>();
  auto* element = result.mutable_data_ptr<double>();
  for (int64_t i = 0; i < result.numel(); ++i) {
    // Each pair has a key of its own, by multiples of the golden ratio of 2⁶⁴.
    const auto pair = [&](int n) {
      at::Philox4_32 engine(seed_ + static_cast<uint64_t>(n) * 0x9e3779b97f4a7c15,
                            static_cast<uint64_t>(firstRow_ + i / width),
                            static_cast<uint64_t>(sample) << 32 | static_cast<uint64_t>(i % width));
      const auto first = unit<double>(engine);
      return std::pair{first, unit<double>(engine)};
    };
    if (!(rate[i] >= 0 && std::isfinite(rate[i]))) {
      element[i] = std::numeric_limits<double>::quiet_NaN();
    } else {
      element[i] = rate[i] < kSearched ? searchedPoisson(rate[i], pair(0).first)
                                       : rejectedPoisson(rate[i], pair);
    }
  }
  return result.to(rates.scalar_type());
}

at::Tensor Draws::uniform(at::IntArrayRef shape, int64_t sample, at::ScalarType dtype) const {
  return filled(shape, dtype, seed_, firstRow_, sample,
                [](at::Philox4_32& engine, auto kind) { return unit<decltype(kind)>(engine); });
}

at::Tensor Draws::normal(at::IntArrayRef shape, int64_t sample, at::ScalarType dtype) const {
  return filled(shape, dtype, seed_, firstRow_, sample,
                [](at::Philox4_32& engine, auto kind) { return gaussian<decltype(kind)>(engine); });
}

}  // namespace tc
