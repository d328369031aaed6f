#include "core/runtime/random.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>

namespace tc {

Random::Random(uint64_t seed) : generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {}

at::Tensor Random::uniform(at::IntArrayRef shape, double low, double high, at::ScalarType dtype) {
  return at::empty(shape, dtype).uniform_(low, high, generator_);
}

at::Tensor Random::normal(at::IntArrayRef shape, double mean, double std, at::ScalarType dtype) {
  return at::empty(shape, dtype).normal_(mean, std, generator_);
}

}  // namespace tc
