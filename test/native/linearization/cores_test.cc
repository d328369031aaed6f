// Rows that each core computes by itself: the same products as those of all rows together.

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <mutex>
#include <set>
#include <thread>

#include "code_of.h"
#include "core/linearization/autograd/autograd.h"
#include "core/linearization/engine.h"
#include "core/linearization/row_work.h"
#include "core/linearization/rows.h"
#include "core/linearization/rows_on_cores.h"
#include "core/operators/hessian.h"
#include "core/operators/loss_gradient.h"
#include "core/products/forward.h"
#include "core/runtime/error.h"
#include "models.h"
#include "random/random_programs.h"
#include "scoped_threads.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

const StopToken kNever;

/// cos(W x + b), then W x + b: no chain, and enough work for several cores.
Point wide(int64_t batch) {
  Builder b;
  const auto hidden = b.call("aten::cos", {b.linear(b.input(), 40, 60)});
  Point point{b.build(b.linear(hidden, 60, 3)), {}, {}, {}};
  point.inputs = {randomLike(at::zeros({batch, 40}, at::kDouble), 1)};
  point.params = randomLike(at::zeros({point.program->parameterCount()}, at::kDouble), 2) * 0.1;
  return point;
}

void requireSameProducts(const Point& point, int64_t parts) {
  const auto together = [&] {
    const Threads one(1);
    return linearizeAutograd(point, kNever);
  }();
  const auto apart = linearizeAutogradOnCores(RowsOnCores(point, parts), kNever);
  const at::Tensor v = randomLike(point.params, 3);
  const at::Tensor u = randomLike(together->output(), 4);
  CHECK(difference(apart->output(), together->output()) < 1e-12);
  CHECK(difference(apart->jvp(v, kNever), together->jvp(v, kNever)) < 1e-11);
  CHECK(difference(apart->vjp(u, kNever), together->vjp(u, kNever)) < 1e-11);
  CHECK(difference(apart->matvec(v, kNever), together->matvec(v, kNever)) < 1e-11);
}

}  // namespace

TEST_CASE("products of rows on cores of their own are those of all rows, for every kind of layer") {
  const Threads threads(3);
  for (const Model& model : models()) {
    CAPTURE(model.name);
    for (const int64_t parts : {2, 3}) requireSameProducts(model.point, parts);
  }
}

TEST_CASE("and for programs drawn at random whose rows are known to be separate") {
  const Threads threads(2);
  int64_t separate = 0;
  const Seeds which = seeds(1, 1000);
  for (uint64_t seed = which.first; seed < which.first + which.count; ++seed) {
    CAPTURE(seed);
    const RandomProgram drawn = randomProgram(seed);
    const Point point = repeated(drawn.point, 5);
    if (!drawn.differentiable || point.batch() < 8 || !hasSeparateRows(point)) continue;
    ++separate;
    requireSameProducts(point, 2);
  }
  CHECK(separate > static_cast<int64_t>(which.count) / 100);
}

TEST_CASE("every product deals rows out where that pays, and is that of one core") {
  const Point point = wide(803);
  const at::Tensor v = randomLike(point.params, 5);
  const at::Tensor y = at::zeros({803, 3}, at::kDouble);
  const Objective objective =
      makeObjective(makeLoss("mse"), outputLike(point), y, Reduction::kMean);
  const auto products = [&](int threads) {
    const Threads scope(threads);
    CHECK(coresByRows(point) == threads);
    const auto once = linearizeOnce(point, Engine::kAutograd, 0);
    const auto kept = linearize(point, Engine::kAutograd, 8, kNever);
    const ChunkOptions options{Engine::kAutograd};
    at::Tensor jacobian = at::empty({801 * 3, v.numel()}, v.options());
    kept->jacobian(1, 802, jacobian, kNever);
    const LossGradient loss = lossGradient(point, options, objective, {}, kNever);
    return std::vector<at::Tensor>{
        forwardPass(point, 0, kNever),
        forwardPass(point, 650, kNever),
        once->matvec(v, kNever),
        linearizeOnce(point, Engine::kAutograd, 650)->matvec(v, kNever),
        kept->matvec(v, kNever),
        kept->jvp(v, kNever),
        jacobian,
        loss.loss,
        loss.gradient,
        hessian(point, options, objective, {}, kNever)->matvec(v, kNever),
    };
  };
  const std::vector<at::Tensor> one = products(1);
  const std::vector<at::Tensor> three = products(3);
  for (size_t i = 0; i < one.size(); ++i) {
    CAPTURE(i);
    CHECK(difference(three[i], one[i]) < 1e-12);
  }
}

// oneDNN, which computes them, plans for the threads that it finds and has them wait for one
// another.
TEST_CASE("convolutions in float32 on cores of their own are those of all rows") {
  using List = std::vector<double>;
  Builder b;
  const auto weight = [&](int64_t out, int64_t in) { return b.parameter({out, in, 3, 3}); };
  auto h =
      b.call("aten::conv2d", {b.input(), weight(32, 3), b.parameter({32}), List{1, 1}, List{1, 1}});
  h = b.call("aten::relu", {h});
  h = b.call("aten::conv2d", {h, weight(48, 32), b.parameter({48}), List{2, 2}, List{1, 1}});
  Point point{b.build(b.call("aten::mean.dim", {h, List{2, 3}})), {}, {}, {}};
  point.inputs = {randomLike(at::zeros({64, 3, 16, 16}), 1)};
  point.params = randomLike(at::zeros({point.program->parameterCount()}), 2) * 0.1;
  const at::Tensor v = randomLike(point.params, 3);
  const at::Tensor expected = [&] {
    const Threads one(1);
    return linearizeAutograd(point, kNever)->matvec(v, kNever);
  }();
  // A new thread, which starts new ones to help it.
  std::vector<at::Tensor> found;
  std::thread([&] {
    const Threads three(3);
    CHECK(coresByRows(point) == 3);
    const RowsOnCores cores(point);
    cores.each(kNever, [](size_t) { CHECK(at::get_num_threads() == 1); });
    found.push_back(linearizeOnce(point, Engine::kAutograd, 0)->matvec(v, kNever));
    found.push_back(linearize(point, Engine::kAutograd, 8, kNever)->matvec(v, kNever));
  }).join();
  for (const at::Tensor& each : found) CHECK(difference(each, expected) < 1e-4);
}

TEST_CASE("each part runs on a thread of its own, in the caller's state") {
  const Threads threads(3);
  const RowsOnCores rows(wide(20), 3);
  const c10::NoGradGuard noGradients;
  std::mutex mutex;
  std::set<std::thread::id> ids;
  int64_t next = 0;
  for (size_t part = 0; part < rows.size(); ++part) {
    CHECK(rows.begin(part) == next);
    next = rows.end(part);
    CHECK(rows.part(part).batch() == rows.end(part) - rows.begin(part));
  }
  CHECK(next == 20);
  rows.each(kNever, [&](size_t) {
    const std::lock_guard lock(mutex);
    CHECK_FALSE(c10::GradMode::is_enabled());
    CHECK(at::in_parallel_region());
    ids.insert(std::this_thread::get_id());
  });
  CHECK(ids.size() == 3);
}

TEST_CASE("an error of one part, or a stop, ends them all") {
  const Threads threads(3);
  const RowsOnCores rows(wide(20), 3);
  CHECK(codeOf([&] {
          rows.each(kNever, [](size_t part) {
            if (part == 1) throw Error("ERR_SHAPE_MISMATCH", "of one part");
          });
        }) == "ERR_SHAPE_MISMATCH");
  const auto kept = linearizeAutogradOnCores(rows, kNever);
  const StopToken stop;
  stop.request();
  CHECK(codeOf([&] { kept->matvec(rows.point().params, stop); }) == "ABORTED");
  CHECK(codeOf([&] { linearizeAutogradOnCores(rows, stop); }) == "ABORTED");
}

TEST_CASE("rows stay together where parting them does not pay") {
  const Threads threads(3);
  CHECK(coresByRows(wide(5)) == 1);  // too few
  Point small = wide(803);
  small.inputs[0] = small.inputs[0].narrow(0, 0, 100);
  CHECK(coresByRows(small) == 1);  // too little to do
  Builder b;
  const auto hidden = b.linear(b.input(), 40, 60);
  Point mixed = wide(803);
  mixed.program = b.build(b.call("aten::softmax.int", {hidden, 0.0}));
  mixed.params = mixed.params.narrow(0, 0, mixed.program->parameterCount());
  CHECK(coresByRows(mixed) == 1);
}
