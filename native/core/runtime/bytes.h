#pragma once

#include <c10/core/TensorOptions.h>

#include <cstdint>

namespace tc {

/// a·b·…, or −1 where that cannot be counted, as where a factor is −1; `requireMemory` takes both.
template <typename... Factors>
int64_t countOf(int64_t first, Factors... rest) {
  int64_t result = first;
  bool counted = first >= 0;
  ((counted = counted && static_cast<int64_t>(rest) >= 0 &&
              !__builtin_mul_overflow(result, static_cast<int64_t>(rest), &result)),
   ...);
  return counted ? result : -1;
}

/// a + b, or −1 where that cannot be counted.
inline int64_t sumOf(int64_t a, int64_t b) {
  int64_t result = 0;
  return a < 0 || b < 0 || __builtin_add_overflow(a, b, &result) ? -1 : result;
}

/// The bytes of a matrix, or −1.
inline int64_t bytesOf(int64_t rows, int64_t cols, const c10::TensorOptions& options) {
  return countOf(rows, cols, options.dtype().itemsize());
}

}  // namespace tc
