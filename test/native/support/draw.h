#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

namespace tc::test {

/// Random choices, the same for the same seed.
class Draw {
 public:
  explicit Draw(uint64_t seed) : engine_(seed) {}
  bool chance(double probability) {
    return std::uniform_real_distribution<double>(0, 1)(engine_) < probability;
  }
  template <typename T, size_t n>
  const T& one(const T (&list)[n]) {
    return list[std::uniform_int_distribution<size_t>(0, n - 1)(engine_)];
  }
  int64_t whole(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  /// A place in a list that is not empty.
  size_t place(size_t count) {
    return std::uniform_int_distribution<size_t>(0, count - 1)(engine_);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace tc::test
