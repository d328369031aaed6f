#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/program/point.h"

namespace tc::test {

/// A program of a few random operations, by no means a chain: values are used again, products are
/// of two branches, arguments depend on parameters or not. Small, in float64; rows may mix.
struct RandomProgram {
  Point point;
  std::vector<std::string> operations;  ///< the names of what was drawn
  bool differentiable = true;           ///< finite differences show what autograd computes
};

/// The same for the same seed.
RandomProgram randomProgram(uint64_t seed);

/// The names of all that is drawn from.
std::vector<std::string> operationNames();

/// Which random programs tests run: seeds first, …, first + count − 1; a quarter of them unless
/// TORCH_CURVATURE_TEST_COUNTS asks for more. The environment variables
/// TORCH_CURVATURE_TEST_SEED and TORCH_CURVATURE_TEST_PROGRAMS override both.
struct Seeds {
  uint64_t first;
  uint64_t count;
};
Seeds seeds(uint64_t first, uint64_t count);

}  // namespace tc::test
