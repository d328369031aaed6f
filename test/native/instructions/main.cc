// Products whose instructions valgrind's callgrind counts: each case is warmed up, then counted
// alone, and its count is dumped under its name. Prints what the counts depend on, as JSON.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/version.h>
#include <valgrind/callgrind.h>

#include <cstdio>
#include <functional>
#include <random>

#include "core/linearization/autograd/autograd.h"
#include "core/linearization/fused/engine.h"
#include "core/products/dense.h"
#include "core/program/program.h"
#include "fused_programs.h"

namespace tc::testing {
namespace {

/// A tanh MLP 4-width-width-1 in float32.
Point network(int64_t width, int64_t batch) {
  std::mt19937 random(1);
  ProgramBuilder builder;
  using Ref = ProgramSpec::Ref;
  int64_t value = builder.linear(builder.input(), 4, width);
  value = builder.linear(builder.call("aten::tanh", {Ref{value}}), width, width);
  value = builder.linear(builder.call("aten::tanh", {Ref{value}}), width, 1);
  return randomPoint(builder.build(value), batch, 4, at::kFloat, random);
}

void count(const char* name, int products, const std::function<void()>& product) {
  product();  // what only a first product does
  product();
  CALLGRIND_START_INSTRUMENTATION;
  CALLGRIND_ZERO_STATS;
  for (int i = 0; i < products; ++i) product();
  CALLGRIND_DUMP_STATS_AT(name);
  CALLGRIND_STOP_INSTRUMENTATION;
}

void countAll() {
  const Point fused = network(64, 1024);
  const at::Tensor v = at::ones_like(fused.params);
  count("fused, one shot", 4, [&] { linearizeFusedOnce(fused)->matvec(v, StopToken()); });
  const auto linear = linearizeFused(fused, 100, StopToken());
  count("fused, linearized", 4, [&] { linear->matvec(v, StopToken()); });

  const Point small = network(16, 64);
  const at::Tensor w = at::ones_like(small.params);
  const auto kept = linearizeAutograd(small, StopToken());
  count("autograd, linearized", 20, [&] { kept->matvec(w, StopToken()); });
  count("dense", 4,
        [&] { matvecDense(small, w, DenseStrategy::kGram, Engine::kAuto, 0, StopToken()); });
}

}  // namespace
}  // namespace tc::testing

int main() {
  at::set_num_threads(1);
  tc::testing::countAll();
  std::printf("{\"compiler\": \"%s\", \"libtorch\": \"%s\"}\n", __VERSION__, TORCH_VERSION);
}
