// What every engine does behind the one interface: rows of J, exact diagonals, and stops.

#include <ATen/Parallel.h>

#include <functional>

#include "code_of.h"
#include "core/linearization/autograd/kept_graph.h"
#include "core/linearization/chunked.h"
#include "core/linearization/engine.h"
#include "core/linearization/row_work.h"
#include "core/linearization/rows.h"
#include "core/operators/fisher.h"
#include "core/operators/gauss_newton.h"
#include "core/operators/hessian.h"
#include "core/operators/loss_gradient.h"
#include "core/products/dense.h"
#include "core/products/forward.h"
#include "core/products/on_the_fly.h"
#include "core/program/sizes.h"
#include "core/runtime/error.h"
#include "counts.h"
#include "models.h"
#include "random/random_programs.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

const StopToken kNever;
constexpr Engine kEngines[] = {Engine::kAuto, Engine::kAutograd};

/// cos(W x + b), then W x + b to as many outputs: no chain.
Point wide(int64_t batch, int64_t width) {
  Builder b;
  const auto hidden = b.call("aten::cos", {b.linear(b.input(), 4, width)});
  Point point{b.build(b.linear(hidden, width, width)), {}, {at::ones({batch, 4})}, {}};
  point.params = at::full({point.program->parameterCount()}, 0.01F);
  return point;
}

}  // namespace

TEST_CASE("every engine writes the rows of J, once or kept") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const Point& point = model.point;
    const at::Tensor expected = jacobianByRows(point);
    const int64_t outputs = expected.size(0) / point.batch();
    const int64_t begin = 1;
    const int64_t end = point.batch() - 1;
    const at::Tensor rows = expected.narrow(0, begin * outputs, (end - begin) * outputs);
    for (const Engine engine : kEngines) {
      const std::shared_ptr<Linearization> linearizations[] = {
          linearizeOnce(point, engine, 0), linearize(point, engine, 1, kNever),
          linearize(point, engine, 1000, kNever)};
      for (const auto& linearization : linearizations) {
        const at::Tensor out = at::full_like(rows, NAN);
        linearization->jacobian(begin, end, out, kNever);
        CHECK(difference(out, rows) < 1e-12);
      }
      ChunkedLinearization chunked(point, {engine, 2}, kNever);
      const at::Tensor out = at::full_like(rows, NAN);
      chunked.jacobian(begin, end, out, kNever);
      CHECK(difference(out, rows) < 1e-12);
    }
  }
}

TEST_CASE("what is linearized for one product takes every kind of them") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const at::Tensor v = randomLike(model.point.params, 1);
    for (const Engine engine : kEngines) {
      const auto kept = linearize(model.point, engine, 8, kNever);
      const auto once = linearizeOnce(model.point, engine, 0);
      const at::Tensor u = randomLike(kept->output(), 2);
      CHECK(difference(once->matvec(v, kNever), kept->matvec(v, kNever)) < 1e-12);
      CHECK(once->bytes() == 0);
      CHECK(difference(once->jvp(v, kNever), kept->jvp(v, kNever)) < 1e-12);
      CHECK(difference(once->vjp(u, kNever), kept->vjp(u, kNever)) < 1e-12);
      CHECK(difference(once->output(), kept->output()) < 1e-12);
      CHECK(once->bytes() > 0);
      CHECK(std::string(once->engine()) == kept->engine());
    }
  }
}

TEST_CASE("several vectors at once are as each by itself, kept or not") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    for (const Engine engine : kEngines) {
      const std::unique_ptr<Linearization> linearizations[] = {
          linearizeOnce(model.point, engine, 0), linearize(model.point, engine, 1, kNever),
          linearize(model.point, engine, 1000, kNever)};
      for (const auto& linear : linearizations) {
        const at::Tensor v = at::stack({randomLike(model.point.params, 1),
                                        randomLike(model.point.params, 2), model.point.params});
        const at::Tensor jv = linear->jvps(v, kNever);
        const at::Tensor u = at::stack({randomLike(jv[0], 3), jv[1], jv[2]}).transpose(0, 1);
        const at::Tensor jtu = linear->vjps(u.transpose(0, 1), kNever);
        const at::Tensor jtjv = linear->matmat(v, kNever);
        for (int64_t i = 0; i < 3; ++i) {
          CHECK(difference(jv[i], linear->jvp(v[i], kNever)) < 1e-13);
          CHECK(difference(jtu[i], linear->vjp(u.select(1, i), kNever)) < 1e-12);
          CHECK(difference(jtjv[i], linear->matvec(v[i], kNever)) < 1e-12);
        }
      }
    }
  }
}

TEST_CASE("exact diagonals are those of the matrix, by every engine") {
  SomeOf some(7);
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const Objective objective = makeObjective(makeLoss(model.loss), outputLike(model.point),
                                              model.target, Reduction::kMean);
    for (const Engine engine : kEngines) {
      for (const int64_t chunkSize : {0, 2}) {
        if (!some.next()) continue;
        const auto lin = std::make_shared<ChunkedLinearization>(
            model.point, ChunkOptions{engine, chunkSize}, kNever);
        const at::Tensor& y = lin->output();
        // Fewer outer products in each row than outputs, as many, and more.
        const OperatorPtr operators[] = {
            sandwich(lin, rowWeighting(y, {})), gaussNewton(lin, objective, {}),
            sandwich(lin, empiricalFisherMap(y, objective, {}, Per::kDatum)),
            sandwich(lin, empiricalFisherMap(y, objective, {}, Per::kRow)),
            sandwich(lin, monteCarloFisherMap(y, objective, {}, Per::kRow, Draws(1), 30, kNever))};
        for (const OperatorPtr& op : operators)
          CHECK(difference(op->diagonal(kNever), op->toDense(kNever).diagonal()) < 1e-11);
      }
    }
  }
}

TEST_CASE("draws of many rows and samples are those of few at a time") {
  const Model model = models().front();
  const Point point = repeated(model.point, 20'000);  // more outputs than are drawn at once
  const ChunkedLinearization lin(point, ChunkOptions{}, kNever);
  const at::Tensor target = at::zeros_like(lin.output());
  const Objective objective = makeObjective(makeLoss("mse"), lin.output(), target, Reduction::kSum);
  const auto map = monteCarloFisherMap(lin.output(), objective, {}, Per::kRow, Draws(5), 2, kNever);
  const int64_t last = point.batch() - 3;
  const at::Tensor some = lin.output().narrow(0, last, 3);
  const Objective ofSome =
      makeObjective(makeLoss("mse"), some, at::zeros_like(some), Reduction::kSum);
  const auto fewer = monteCarloFisherMap(some, ofSome, {}, Per::kRow, Draws(5, last), 2, kNever);
  const at::Tensor u = at::ones_like(some);
  CHECK(at::equal(map->apply(u, last, last + 3), fewer->apply(u, 0, 3)));
  const at::Tensor all = at::ones_like(lin.output());
  CHECK(at::equal(mapped(*map, all, 0, point.batch(), point.batch(), kNever),
                  map->apply(all, 0, point.batch())));
}

TEST_CASE("every product hears a stop, and the next one is right") {
  const StopToken stop;
  stop.request();
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const Point& point = model.point;
    const at::Tensor v = randomLike(point.params, 1);
    const Objective objective =
        makeObjective(makeLoss(model.loss), outputLike(point), model.target, Reduction::kMean);
    const ChunkOptions options{Engine::kAutograd};
    for (const Engine engine : kEngines) {
      const auto kept = linearize(point, engine, 8, kNever);
      const at::Tensor u = randomLike(kept->output(), 2);
      const at::Tensor before = kept->matvec(v, kNever);
      const at::Tensor rows = at::empty({u.numel(), v.numel()}, v.options());
      const auto lin = std::make_shared<ChunkedLinearization>(point, ChunkOptions{engine}, kNever);
      const OperatorPtr curvature = gaussNewton(lin, objective, {});
      const auto hessians = hessian(point, options, objective, {}, kNever);
      const std::function<void()> products[] = {
          [&] { kept->jvp(v, stop); },
          [&] { kept->vjp(u, stop); },
          [&] { kept->matvec(v, stop); },
          [&] { kept->jacobian(0, point.batch(), rows, stop); },
          [&] { curvature->diagonal(stop); },
          [&] { linearize(point, engine, 8, stop); },
          [&] { linearizeOnce(point, engine, 0)->matvec(v, stop); },
          [&] { linearizeOnce(point, engine, 0)->jacobian(0, point.batch(), rows, stop); },
          [&] { matvecOnTheFly(point, v, engine, 0, stop); },
          [&] { matvecDense(point, v, DenseStrategy::kGram, engine, 0, stop); },
          [&] { matvecDense(point, v, DenseStrategy::kJacobian, engine, 0, stop); },
          [&] { forwardPass(point, 0, stop); },
          [&] { ChunkedLinearization(point, ChunkOptions{engine}, stop); },
          [&] { hessian(point, options, objective, {}, stop); },
          [&] { hessians->matvec(v, stop); },
          [&] { lossGradient(point, options, objective, {}, stop); },
          [&] { monteCarloFisherMap(kept->output(), objective, {}, Per::kRow, Draws(1), 3, stop); },
      };
      for (size_t i = 0; i < std::size(products); ++i) {
        CAPTURE(i);
        CHECK(codeOf(products[i]) == "ABORTED");
      }
      CHECK(at::equal(kept->matvec(v, kNever), before));
    }
  }
}

TEST_CASE("a backward pass is stopped between its functions") {
  const at::Tensor x = at::ones({3}, at::kDouble).requires_grad_();
  const at::Tensor y = x.sin().exp();
  const KeptGraph graph({y}, {x});
  const at::Tensor u = at::ones({3}, at::kDouble);
  const at::Tensor expected = graph.pull({u}).front();
  const StopToken stop;
  {
    const StopScope scope(stop);
    CHECK(at::equal(graph.pull({u}).front(), expected));
    stop.request();
    CHECK(codeOf([&] { graph.pull({u}); }) == "ABORTED");
    const StopScope inner(kNever);
    CHECK(at::equal(graph.pull({u}).front(), expected));
  }
  CHECK(at::equal(graph.pull({u}).front(), expected));
}

TEST_CASE("rows that are separate by construction are independent") {
  int64_t separate = 0;
  const Seeds which = seeds(1, 1000);
  for (uint64_t seed = which.first; seed < which.first + which.count; ++seed) {
    CAPTURE(seed);
    Point point = repeated(randomProgram(seed).point, 5);
    for (at::Tensor& input : point.inputs) {
      if (input.is_floating_point()) input = input + randomLike(input, seed) * 0.1;
    }
    if (point.batch() < 8 || !hasSeparateRows(point)) continue;
    ++separate;
    CHECK_NOTHROW(tryIndependentRows(point, kNever));
  }
  CHECK(separate > static_cast<int64_t>(which.count) / 100);
}

TEST_CASE("layers are known to keep rows apart") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    CHECK(hasSeparateRows(repeated(model.point, 3)));
  }
}

TEST_CASE("so are layers of images") {
  using Ref = ProgramSpec::Ref;
  using List = std::vector<double>;
  const std::pair<const char*, std::function<Ref(Builder&, Ref)>> layers[] = {
      {"batch norm",
       [](Builder& b, Ref x) {
         const Ref mean = b.constant(at::zeros({4}, at::kDouble));
         const Ref variance = b.constant(at::ones({4}, at::kDouble));
         return b.call("aten::batch_norm",
                       {x, b.parameter({4}), b.parameter({4}), mean, variance, false,
                        ProgramSpec::Float{0.1}, ProgramSpec::Float{1e-5}, false});
       }},
      {"pixel shuffle", [](Builder& b, Ref x) { return b.call("aten::pixel_shuffle", {x, 2.0}); }},
      {"channels last",
       [](Builder& b, Ref x) { return b.call("aten::movedim.int", {x, 1.0, -1.0}); }},
      {"prelu", [](Builder& b, Ref x) { return b.call("aten::prelu", {x, b.parameter({4})}); }},
      {"padding",
       [](Builder& b, Ref x) { return b.call("aten::reflection_pad2d", {x, List{1, 1, 1, 1}}); }},
      {"roll", [](Builder& b, Ref x) { return b.call("aten::roll", {x, List{1}, List{2}}); }},
  };
  for (const auto& [name, layer] : layers) {
    CAPTURE(name);
    Builder b;
    const Ref h = b.call("aten::mul.Tensor", {b.input(), b.parameter({4, 1, 1})});
    const Ref y = layer(b, h);
    Point point{b.build(y), {}, {randomLike(at::zeros({40, 4, 3, 3}, at::kDouble), 2)}, {}};
    point.params = randomLike(at::zeros({point.program->parameterCount()}, at::kDouble), 1);
    point.constants = point.program->constants();
    CHECK(hasSeparateRows(point));
    CHECK_NOTHROW(tryIndependentRows(point, kNever));
  }
}

TEST_CASE("so is attention that takes rows and heads for one axis") {
  using Ref = ProgramSpec::Ref;
  using List = std::vector<double>;
  using Size = ProgramSpec::Size;
  const auto number = [](int64_t n) { return Size{Size::Kind::kConstant, n, 0, {}}; };
  const Size rows{Size::Kind::kAxis, Builder::kInput, 0, {}};
  const Size heads = sizeOf("*", {rows, number(2)});
  Builder b;
  const Ref x = b.call("aten::transpose.int", {b.input(), 0.0, 1.0});  // [5, rows, 6]
  const auto projected = [&] {
    const Ref all = b.call("aten::reshape",
                           {b.linear(x, 6, 6), ProgramSpec::Sizes{number(5), heads, number(3)}});
    return b.call("aten::transpose.int", {all, 0.0, 1.0});  // [rows · 2, 5, 3]
  };
  const Ref q = projected();
  const Ref k = b.call("aten::transpose.int", {projected(), -2.0, -1.0});
  const Ref weights = b.call("aten::softmax.int", {b.call("aten::bmm", {q, k}), -1.0});
  const Ref found = b.call("aten::bmm", {weights, projected()});
  const Ref flat =
      b.call("aten::reshape", {b.call("aten::transpose.int", {found, 0.0, 1.0}), List{-1, 6}});
  const Ref y = b.call("aten::reshape",
                       {b.linear(flat, 6, 6), ProgramSpec::Sizes{number(5), rows, number(6)}});
  Point point{b.build(b.call("aten::transpose.int", {y, 0.0, 1.0})), {}, {}, {}};
  point.inputs = {randomLike(at::zeros({40, 5, 6}, at::kDouble), 2)};
  point.params = randomLike(at::zeros({point.program->parameterCount()}, at::kDouble), 1);
  CHECK(hasSeparateRows(point));
  CHECK_NOTHROW(tryIndependentRows(point, kNever));
}

TEST_CASE("whatever mixes rows or counts them is not taken for separate") {
  using Ref = ProgramSpec::Ref;
  using List = std::vector<double>;
  using Size = ProgramSpec::Size;
  const Size rows{Size::Kind::kAxis, Builder::kInput, 0, {}};
  const std::pair<const char*, std::function<Ref(Builder&, Ref)>> mixers[] = {
      {"softmax", [](Builder& b, Ref h) { return b.call("aten::softmax.int", {h, 0.0}); }},
      {"sum",
       [](Builder& b, Ref h) { return b.call("aten::sum.dim_IntList", {h, List{0}, true}); }},
      {"flip", [](Builder& b, Ref h) { return b.call("aten::flip", {h, List{0}}); }},
      {"cumsum", [](Builder& b, Ref h) { return b.call("aten::cumsum", {h, 0.0}); }},
      {"gram", [](Builder& b, Ref h) { return b.call("aten::mm", {h, b.call("aten::t", {h})}); }},
      {"a transpose",
       [](Builder& b, Ref h) {
         const Ref turned = b.call("aten::reshape", {b.call("aten::t", {h}), List{-1, 2}});
         return b.call("aten::add.Tensor", {h, turned});
       }},
      {"its number of rows",
       [&](Builder& b, Ref h) {
         return b.call("aten::roll", {h, ProgramSpec::Sizes{rows}, List{0}});
       }},
      {"as many times as there are rows",
       [&](Builder& b, Ref h) {
         const Size all{Size::Kind::kConstant, -1, 0, {}};
         const Ref many = b.call("aten::expand", {b.call("aten::unsqueeze", {h, 0.0}),
                                                  ProgramSpec::Sizes{rows, all, all}});
         return b.call("aten::sum.dim_IntList", {many, List{0}});
       }},
      {"the number of rows in each of them",
       [&](Builder& b, Ref h) {
         const Size one{Size::Kind::kConstant, 1, 0, {}};
         return b.call("aten::div.Tensor",
                       {h, b.call("aten::full", {ProgramSpec::Sizes{rows, one}, rows})});
       }},
      {"an axis of so many beside them",
       [&](Builder& b, Ref h) {
         const Size more = sizeOf("*", {rows, {Size::Kind::kConstant, 2, 0, {}}});
         const Ref ones = b.call("aten::ones", {ProgramSpec::Sizes{rows, more}});
         return b.call("aten::mul.Tensor",
                       {h, b.call("aten::sum.dim_IntList", {ones, List{1}, true})});
       }},
      {"an outer sum",
       [](Builder& b, Ref h) {
         const Ref one = b.call("aten::unsqueeze", {h, 0.0});
         return b.call(
             "aten::mean.dim",
             {b.call("aten::add.Tensor", {one, b.call("aten::unsqueeze", {h, 1.0})}), List{1}});
       }},
  };
  for (const auto& [name, mix] : mixers) {
    CAPTURE(name);
    Builder b;
    const Ref h = b.linear(b.input(), 3, 2);
    const Ref y = mix(b, h);
    Point point{b.build(y), {}, {randomLike(at::zeros({40, 3}, at::kDouble), 2)}, {}};
    point.params = randomLike(at::zeros({point.program->parameterCount()}, at::kDouble), 1);
    CHECK_FALSE(hasSeparateRows(point));
    CHECK(rowsAtOnce(point, 0, kNever) == 40);
  }
}

TEST_CASE("chunks are bounded by work where rows are independent") {
  const Point point = wide(100'000, 500);
  const int64_t rows = rowsAtOnce(point, 0, kNever);
  CHECK(rows < 10'000 * at::get_num_threads());
  CHECK(rows > 100);
  CHECK(rowsAtOnce(wide(2 * rows, 500), 0, kNever) <= 2 * rows);
  CHECK(rowsAtOnce(wide(rows, 500), 0, kNever) == rows);
  CHECK(rowsAtOnce(wide(1'000, 8), 0, kNever) == 1'000);
  // Chunks that cost little beside their gradients would be all overhead.
  CHECK(rowsAtOnce(wide(10'000, 4'000), 0, kNever) >= 16);
  const Point some = wide(3 * rows, 500);
  const at::Tensor v = at::full_like(some.params, 0.5);
  const auto inChunks = matvecOnTheFly(some, v, Engine::kAuto, 0, kNever);
  const auto whole = matvecOnTheFly(some, v, Engine::kAuto, 3 * rows, kNever);
  CHECK(difference(inChunks, whole) < 1e-4);
}
