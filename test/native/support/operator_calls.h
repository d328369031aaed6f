#pragma once

#include <ATen/ATen.h>
#include <ATen/core/stack.h>

#include <string>

#include "models.h"

/// Calls of single operators, for the tests of their rules.
namespace tc::test {

struct OperatorCall {
  std::string target;
  torch::jit::Stack arguments;
};

/// Other random numbers each time, float64. Each file that includes this has its own, whatever ran
/// before.
static at::Tensor numbers(at::IntArrayRef shape) {
  static uint64_t seed = 0;
  return randomLike(at::empty(shape, at::kDouble), ++seed);
}

/// An argument that is left out.
inline c10::IValue none() { return {}; }

}  // namespace tc::test
