#include <ATen/ATen.h>

#include <thread>
#include <vector>

#include "core/linearization/autograd/autograd.h"
#include "core/linearization/linearization.h"
#include "core/products/on_the_fly.h"
#include "fused_programs.h"
#include "models.h"
#include "random/random_programs.h"
#include "scoped_threads.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

std::vector<at::Tensor> products(const Point& point, Engine engine) {
  const auto linear = linearize(point, engine, 8, StopToken());
  const at::Tensor v = randomLike(point.params, 1);
  return {linear->jvp(v, StopToken()), linear->vjp(linear->output(), StopToken()),
          linear->matvec(v, StopToken()), matvecOnTheFly(point, v, engine, 0, StopToken())};
}

}  // namespace

TEST_CASE("products on several threads at once are those of one thread") {
  const Threads single(1);
  std::vector<Point> points;
  std::vector<Engine> engines;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    points.push_back(randomProgram(seed).point);
    engines.push_back(Engine::kAutograd);
    std::mt19937 random(static_cast<uint32_t>(seed));
    const auto chain = testing::randomChain(random);
    for (const Engine engine : {Engine::kFused, Engine::kAutograd}) {
      points.push_back(
          testing::randomPoint(chain, 33, testing::inputWidth(*chain), at::kDouble, random));
      engines.push_back(engine);
    }
  }
  std::vector<std::vector<at::Tensor>> expected;
  for (size_t i = 0; i < points.size(); ++i) expected.push_back(products(points[i], engines[i]));

  constexpr size_t kThreads = 4;
  std::vector<int> wrong(kThreads, 0);
  std::vector<std::thread> threads;
  for (size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const Threads alone(1);
      for (size_t k = 0; k < points.size(); ++k) {
        const size_t i = (k + thread * points.size() / kThreads) % points.size();
        const auto results = products(points[i], engines[i]);
        for (size_t j = 0; j < results.size(); ++j) {
          if (!at::equal(results[j], expected[i][j])) ++wrong[thread];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : wrong) CHECK(count == 0);
}
