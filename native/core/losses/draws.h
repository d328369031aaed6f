#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tc {

/// Random numbers for the outputs of rows of data. Each is a function of the seed, its row's number
/// in the whole data, the sample and its place in the row alone (Philox: Salmon, Moraes, Dror &
/// Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), so that batches and chunks of any
/// sizes draw the same numbers, and more samples go on where fewer end.
class Draws {
 public:
  /// `firstRow` is the number of the first row of what is drawn for.
  explicit Draws(uint64_t seed, int64_t firstRow = 0) : seed_(seed), firstRow_(firstRow) {}

  /// The draws for the rows from the `row`th of these on.
  Draws from(int64_t row) const { return Draws(seed_, firstRow_ + row); }

  /// Uniform on [0, 1), [N, …].
  at::Tensor uniform(at::IntArrayRef shape, int64_t sample, at::ScalarType dtype) const;
  /// Of the standard normal distribution, [N, …].
  at::Tensor normal(at::IntArrayRef shape, int64_t sample, at::ScalarType dtype) const;
  /// Of Poisson distributions with these rates, [N, …], a tensor on the CPU. NaN for a rate that is
  /// negative or no number.
  at::Tensor poisson(const at::Tensor& rates, int64_t sample) const;

 private:
  uint64_t seed_;
  int64_t firstRow_;
};

}  // namespace tc
