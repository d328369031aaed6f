// The fused engine against libtorch's autograd in float64.
#include "core/linearization/fused/engine.h"
#include "core/linearization/fused/layout.h"
#include "core/linearization/fused/recognize.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/kernels/kernels.h"
#include "core/program/program.h"
#include "core/runtime/error.h"
#include "counts.h"
#include "fused_programs.h"
#include "random/program_text.h"
#include "random/random_programs.h"
#include "scoped_threads.h"

namespace tc::testing {
namespace {

using fused::Isa;
using Ref = ProgramSpec::Ref;
using test::Threads;

/// PyTorch initializes weights and biases within ± 1 / √fan-in.
constexpr double kDefaultGain = 1;
constexpr double kSingleTolerance = 1e-6;
constexpr double kDoubleTolerance = 1e-13;

double tolerance(const Point& point) {
  return point.params.scalar_type() == at::kFloat ? kSingleTolerance : kDoubleTolerance;
}

/// A random tangent with a part in the range of Jᵀ: without it J v of a few rows may cancel to a
/// number as small as its rounding errors.
at::Tensor randomTangent(const Point& point) {
  const Point exact = inDouble(point);
  const at::Tensor y = exact.program->run(exact.program->unflatten(exact.params), exact.inputs, {});
  const at::Tensor range = referenceVjp(exact, at::randn_like(y));
  const at::Tensor tangent = at::randn_like(exact.params) + range / range.square().mean().sqrt();
  return tangent.to(point.params.scalar_type());
}

/// How much larger the terms of a few numbers y(θ) or J v are than their sums, which is how much
/// larger their rounding errors are: ‖J ⊙ wᵀ‖ / ‖J w‖ for w = θ or v. At least 1, and 1 for more
/// numbers: they do not all cancel.
double cancellation(const Point& exact, const at::Tensor& w, const at::Tensor& sums) {
  constexpr int64_t kFew = 8;
  if (sums.numel() > kFew) return 1;
  double terms = 0;
  for (int64_t i = 0; i < sums.numel(); ++i) {
    at::Tensor unit = at::zeros_like(sums);
    unit.view({-1})[i] = 1;
    terms += (referenceVjp(exact, unit) * w.to(at::kDouble)).square().sum().item<double>();
  }
  return std::max(1.0, std::sqrt(terms) / sums.norm().item<double>());
}

/// The error of `result` must be below the tolerance, times what cancellation makes of it, or,
/// where rounding the inputs alone makes more than that, not above the error of autograd in the
/// same precision.
void checkClose(const Point& point, const at::Tensor& result, const at::Tensor& exact,
                const at::Tensor& autograd, double canceled = 1) {
  CHECK(relativeError(result, exact) <=
        std::max(canceled * tolerance(point), 4 * relativeError(autograd, exact)));
}

/// Runs `body` with every instruction set of this processor.
template <typename Body>
void forEachIsa(Body&& body) {
  const Isa before = fused::activeIsa();
  for (const Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
    if (!fused::forceIsa(isa)) continue;
    CAPTURE(static_cast<int>(isa));
    body();
  }
  fused::forceIsa(before);
}

/// All products of the engine at `point`, for few and for many expected products.
void checkProducts(const Point& point) {
  const Point exact = inDouble(point);
  const auto options = point.params.options();
  const at::Tensor v = randomTangent(point);
  const at::Tensor jv = referenceJvp(exact, v.to(at::kDouble));
  const at::Tensor u = at::randn(jv.sizes(), options);
  const at::Tensor jtu = referenceVjp(exact, u.to(at::kDouble));
  const at::Tensor jtjv = referenceVjp(exact, jv);
  const auto forward = [](const Point& p) {
    return p.program->run(p.program->unflatten(p.params), p.inputs, {});
  };
  const at::Tensor y = forward(exact);
  const at::Tensor autogradJv = referenceJvp(point, v);
  const at::Tensor autogradJtu = referenceVjp(point, u);
  const at::Tensor autogradJtjv = referenceVjp(point, autogradJv);
  const double inY = cancellation(exact, exact.params, y);
  const double inJv = cancellation(exact, v, jv);
  for (const int64_t products : {1, 1000}) {
    CAPTURE(products);
    const auto linear = linearizeFused(point, products, StopToken());
    CHECK(linear->output().sizes() == y.sizes());
    CHECK(linear->jvp(v, StopToken()).sizes() == y.sizes());
    checkClose(point, linear->output(), y, forward(point), inY);
    checkClose(point, linear->jvp(v, StopToken()), jv, autogradJv, inJv);
    checkClose(point, linear->vjp(u, StopToken()), jtu, autogradJtu);
    checkClose(point, linear->matvec(v, StopToken()), jtjv, autogradJtjv);
    CHECK(at::equal(linear->matvec(v, StopToken()), linear->matvec(v, StopToken())));
  }
  const auto oneShot = linearizeFusedOnce(point)->matvec(v, StopToken());
  checkClose(point, oneShot, jtjv, autogradJtjv);
}

/// What the Jacobian's rows [samples·outputs, P] of every sample say of `checkDiagonal`'s result.
at::Tensor diagonalOf(const at::Tensor& jacobian, const RowFactors& factors) {
  const int64_t outputs = factors.vectors.size(2);
  const at::Tensor rows = jacobian.view({-1, outputs, jacobian.size(1)});
  const at::Tensor gradients = at::einsum("kno,nop->knp", {factors.vectors, rows});
  return (gradients.square() * factors.weights.unsqueeze(2)).sum({0, 1});
}

/// diag(JᵀCJ) of the engine at `point`, a chain that shares no parameters, of a C that is none of
/// any loss: of vectors and signs at random, some of them without weight.
void checkDiagonal(const Point& point) {
  const Point exact = inDouble(point);
  const int64_t batch = point.batch();
  const auto jacobianOf = [&](const Point& at) {
    const auto linear = linearizeFusedOnce(at);
    const int64_t outputs = linear->output().numel() / batch;
    const at::Tensor out = at::empty({batch * outputs, at.params.numel()}, at.params.options());
    linear->jacobian(0, batch, out, StopToken());
    return out;
  };
  const at::Tensor jacobian = jacobianOf(exact);
  constexpr int64_t kVectors = 3;
  RowFactors factors{at::randn({kVectors, batch, jacobian.size(0) / batch}, point.params.options()),
                     at::randn({kVectors, batch}, point.params.options())};
  factors.weights[1].zero_();
  const auto rows = [&](int64_t begin, int64_t end) {
    return RowFactors{factors.vectors.narrow(1, begin, end - begin),
                      factors.weights.narrow(1, begin, end - begin)};
  };
  const RowFactors twofold{factors.vectors.to(at::kDouble), factors.weights.to(at::kDouble)};
  const at::Tensor expected = diagonalOf(jacobian, twofold);
  const at::Tensor plain = diagonalOf(jacobianOf(point), factors);
  // A square has twice the relative error of what is squared, and weights of both signs cancel.
  const at::Tensor terms = diagonalOf(jacobian, {twofold.vectors, twofold.weights.abs()});
  const double canceled = 2 * terms.norm().item<double>() / expected.norm().item<double>();
  for (const int64_t products : {1, 1000}) {
    CAPTURE(products);
    const auto linear = linearizeFused(point, products, StopToken());
    const auto diagonal = linear->diagonal({kVectors, rows}, StopToken());
    REQUIRE(diagonal);
    checkClose(point, *diagonal, expected, plain, canceled);
    CHECK(at::equal(*linear->diagonal({kVectors, rows}, StopToken()), *diagonal));
  }
}

/// in → width → width → out with one activation
std::shared_ptr<const Program> network(const ActivationCall& activation, int64_t in, int64_t width,
                                       int64_t out) {
  ProgramBuilder builder;
  const auto activate = [&](int64_t value) {
    std::vector<ProgramSpec::Argument> arguments{Ref{value}};
    arguments.insert(arguments.end(), activation.arguments.begin(), activation.arguments.end());
    return builder.call(activation.target, arguments);
  };
  int64_t value = activate(builder.linear(builder.input(), in, width));
  value = activate(builder.linear(value, width, width));
  return builder.build(builder.linear(value, width, out));
}

const ActivationCall& tanhCall() { return activations().front(); }

}  // namespace

TEST_CASE("fused products agree with autograd for every activation") {
  std::mt19937 random(1);
  forEachIsa([&] {
    for (const auto& activation : activations()) {
      for (const double gain : {0.02, 1.5, 12.0}) {  // nearly linear, curved, saturated
        for (const auto dtype : {at::kFloat, at::kDouble}) {
          const Threads scope(gain == 1.5 ? 2 : 1);
          CAPTURE(activation.target);
          CAPTURE(gain);
          CAPTURE(at::toString(dtype));
          const Point point =
              randomPoint(network(activation, 4, 24, 2), 70, 4, dtype, random, gain);
          checkProducts(point);
          checkDiagonal(point);
        }
      }
    }
  });
}

TEST_CASE("fused products agree with autograd for odd widths, batches and outputs") {
  std::mt19937 random(2);
  test::SomeOf some(5);
  forEachIsa([&] {
    const std::vector<int64_t> widths{1, 3, 4, 5, 7, 63, 65, 257};
    for (const int64_t width : test::byCounts<std::vector<int64_t>>({1, 4, 5, 65}, widths)) {
      for (const int64_t batch : {1, 2, 17, 300}) {
        for (const int64_t outputs : {1, 3}) {
          for (const int threads : {1, 2}) {
            if (!some.next()) continue;
            CAPTURE(width);
            CAPTURE(batch);
            CAPTURE(outputs);
            CAPTURE(threads);
            const Threads scope(threads);
            const auto program = network(tanhCall(), 1 + batch % 7, width, outputs);
            const auto dtype = width % 2 == 0 ? at::kDouble : at::kFloat;
            const Point point =
                randomPoint(program, batch, inputWidth(*program), dtype, random, kDefaultGain);
            checkProducts(point);
            if (width < 100 || batch < 100) checkDiagonal(point);
          }
        }
      }
    }
  });
}

TEST_CASE("fused products agree with autograd for random chains") {
  const test::Seeds which = test::seeds(1, test::byCounts(1000, 2000));
  for (uint64_t seed = which.first; seed < which.first + which.count; ++seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    const auto program = randomChain(random);
    const auto dtype = seed % 2 == 0 ? at::kFloat : at::kDouble;
    const Threads scope(seed % 8 < 2 ? 2 : 1);
    const auto batch = static_cast<int64_t>(1 + random() % (seed % 8 == 0 ? 700 : 40));
    const Point point =
        randomPoint(program, batch, inputWidth(*program), dtype, random, kDefaultGain);
    CAPTURE(seed);
    CAPTURE(batch);
    const std::string text = test::programText(point);
    CAPTURE(text);
    const bool small = point.batch() * point.params.numel() < 20'000;
    forEachIsa([&] {
      checkProducts(point);
      if (small) checkDiagonal(point);
    });
  }
}

TEST_CASE("fused per-sample Jacobians have autograd's rows") {
  std::mt19937 random(4);
  forEachIsa([&] {
    for (int trial = 0; trial < 30; ++trial) {
      const auto program = randomChain(random);
      const auto dtype = trial % 2 == 0 ? at::kFloat : at::kDouble;
      const Point point = randomPoint(program, 40, inputWidth(*program), dtype, random);
      const at::Tensor v = at::randn_like(point.params);
      const at::Tensor jv = referenceJvp(inDouble(point), v.to(at::kDouble)).narrow(0, 3, 30);
      const at::Tensor jacobian = at::full({jv.numel(), v.numel()}, NAN, point.params.options());
      linearizeFusedOnce(point)->jacobian(3, 33, jacobian, StopToken());
      CAPTURE(trial);
      CHECK(relativeError(jacobian.to(at::kDouble).mv(v.to(at::kDouble)), jv.flatten()) <=
            tolerance(point));
    }
  });
}

namespace {

/// Three wide layers, two of them in residual blocks, the same weight in both if `tied`.
std::shared_ptr<const Program> wideChain(bool tied, bool bias, int64_t in, int64_t width,
                                         int64_t outputs) {
  ProgramBuilder builder;
  if (!bias) builder.parameter({5});  // one that nothing reads
  const int64_t first = builder.parameter({width, width});
  const int64_t second = tied ? first : builder.parameter({width, width});
  int64_t value = builder.call("aten::tanh", {Ref{builder.linear(builder.input(), in, width)}});
  for (const int64_t weight : {first, second}) {
    const int64_t z = builder.call("aten::linear", {Ref{value}, Ref{weight}});
    value =
        builder.call("aten::add.Tensor", {Ref{builder.call("aten::silu", {Ref{z}})}, Ref{value}});
  }
  return builder.build(builder.linear(value, width, outputs, bias));
}

fused::Plan planOf(const Point& point) {
  const auto found = fused::recognize(*point.program, point.inputs.front().sizes().vec());
  REQUIRE(found.chain);
  const fused::Workload load{
      point.batch(), 1, at::get_num_threads(), 16, point.params.element_size(), 1 << 28};
  return fused::makePlan(*found.chain, load, 0);
}

}  // namespace

TEST_CASE("threads share the rows of gradients that are larger than the batch") {
  std::mt19937 random(7);
  test::SomeOf some(11);
  forEachIsa([&] {
    for (const int threads : {2, 3, 4}) {
      for (const int64_t batch : {33, 70}) {
        for (const bool tied : {false, true}) {
          for (const int64_t outputs : {1, 20}) {
            if (!some.next()) continue;
            const Threads scope(threads);
            const auto dtype = batch == 33 ? at::kDouble : at::kFloat;
            const Point point = randomPoint(wideChain(tied, outputs == 1, 21, 203, outputs), batch,
                                            21, dtype, random, kDefaultGain);
            CHECK(planOf(point).sharesRows());
            CAPTURE(threads);
            CAPTURE(batch);
            CAPTURE(tied);
            CAPTURE(outputs);
            checkProducts(point);
            if (!tied && outputs == 1) checkDiagonal(point);
          }
        }
      }
    }
  });
}

TEST_CASE("and they do so in several rounds") {
  std::mt19937 random(8);
  const Threads scope(2);
  const Point point =
      randomPoint(wideChain(false, true, 5, 680, 1), 801, 5, at::kFloat, random, kDefaultGain);
  const fused::Plan plan = planOf(point);
  CHECK(plan.sharesRows());
  CHECK(plan.tiles > plan.roundTiles);
  checkProducts(point);

  // The diagonal is the sum of those of some rows each.
  const auto ones = [](int64_t rows) {
    const at::Tensor all = at::ones({1, rows});
    return RowFactors{all.unsqueeze(2), all};
  };
  const auto diagonalFrom = [&](int64_t begin, int64_t end) {
    Point part = point;
    part.inputs.front() = point.inputs.front().narrow(0, begin, end - begin);
    const auto factors = [&](int64_t first, int64_t last) { return ones(last - first); };
    return *linearizeFused(part, 1, StopToken())->diagonal({1, factors}, StopToken());
  };
  const at::Tensor parts = diagonalFrom(0, 40) + diagonalFrom(40, 801);
  CHECK(relativeError(diagonalFrom(0, 801), parts) <= kSingleTolerance);
}

TEST_CASE("parameters that several layers share get the sum of their gradients") {
  std::mt19937 random(5);
  ProgramBuilder builder;
  builder.parameter({3});  // one that nothing reads
  const int64_t weight = builder.parameter({6, 6});
  int64_t value = builder.call("aten::linear", {Ref{builder.input()}, Ref{weight}});
  value = builder.call("aten::tanh", {Ref{value}});
  value = builder.call("aten::linear", {Ref{value}, Ref{weight}});
  const Point point = randomPoint(builder.build(value), 20, 6, at::kDouble, random);
  const auto linear = linearizeFused(point, 1, StopToken());
  const at::Tensor v = at::randn_like(point.params);
  const at::Tensor unused = point.params.narrow(0, 0, 3);
  Point exact = point;  // autograd refuses a parameter that nothing reads
  const at::Tensor jv = referenceJvp(exact, v);
  CHECK(relativeError(linear->jvp(v, StopToken()), jv) <= kDoubleTolerance);
  CHECK(relativeError(linear->vjp(jv, StopToken()), referenceVjp(exact, jv)) <= kDoubleTolerance);
  const at::Tensor jacobian = at::full({jv.numel(), v.numel()}, NAN, v.options());
  linearizeFusedOnce(point)->jacobian(0, 20, jacobian, StopToken());
  CHECK(relativeError(jacobian.mv(v), jv.flatten()) <= kDoubleTolerance);
  // A square of sums is no sum of squares.
  const auto factors = [](int64_t, int64_t) { return RowFactors{}; };
  CHECK_FALSE(linear->diagonal({0, factors}, StopToken()));
}

TEST_CASE("factors are made for as many rows as memory is set aside for") {
  std::mt19937 random(12);
  const Threads scope(1);
  Point point = randomPoint(network(tanhCall(), 2, 3, 70), 1'000, 2, at::kDouble, random);
  at::Tensor& x = point.inputs.front();
  x = x.repeat({8, 1});
  const auto linear = linearizeFused(point, 1, StopToken());
  std::vector<int64_t> ends{0};
  const at::Tensor units = at::eye(70, at::kDouble);
  const auto factors = [&](int64_t begin, int64_t end) {
    CHECK(begin == ends.back());
    ends.push_back(end);
    return RowFactors{units.unsqueeze(1).expand({70, end - begin, 70}),
                      at::ones({70, end - begin}, at::kDouble)};
  };
  const auto diagonal = linear->diagonal({70, factors}, StopToken());
  CHECK(ends.size() > 3);
  CHECK(ends.back() == 8'000);
  // tr JᵀJ = ‖J‖², and the bias of the last layer is added to each output.
  CHECK(relativeError(diagonal->narrow(0, diagonal->numel() - 70, 70),
                      at::full({70}, 8'000.0, at::kDouble)) <= kDoubleTolerance);
  const at::Tensor rows = at::empty({70'000, diagonal->numel()}, at::kDouble);
  linear->jacobian(0, 1'000, rows, StopToken());
  CHECK(relativeError(*diagonal, 8 * rows.square().sum(0)) <= kDoubleTolerance);
  // Where those of a tile alone are too many, none are made.
  CHECK_FALSE(linear->diagonal({int64_t{1} << 30, factors}, StopToken()));
  CHECK(ends.back() == 8'000);
}

TEST_CASE("no rows give zeros, and a zero tangent gives zero") {
  std::mt19937 random(6);
  const auto program = network(tanhCall(), 4, 9, 2);
  const Point empty = randomPoint(program, 0, 4, at::kFloat, random);
  const auto none = linearizeFused(empty, 1, StopToken());
  const at::Tensor v = at::ones_like(empty.params);
  CHECK(none->jvp(v, StopToken()).sizes() == at::IntArrayRef({0, 2}));
  CHECK(at::equal(none->matvec(v, StopToken()), at::zeros_like(v)));
  CHECK(at::equal(none->vjp(none->output(), StopToken()), at::zeros_like(v)));
  const Point point = randomPoint(program, 33, 4, at::kFloat, random);
  const auto linear = linearizeFused(point, 1, StopToken());
  CHECK(at::equal(linear->matvec(at::zeros_like(v), StopToken()), at::zeros_like(v)));
}

TEST_CASE("NaN reaches what depends on it, and nothing else") {
  std::mt19937 random(7);
  forEachIsa([&] {
    for (const auto& activation : activations()) {
      CAPTURE(activation.target);
      const auto program = network(activation, 4, 9, 2);
      const Point point = randomPoint(program, 40, 4, at::kFloat, random);
      point.inputs[0][5].fill_(std::numeric_limits<float>::quiet_NaN());
      for (const int64_t products : {1, 1000}) {
        const auto linear = linearizeFused(point, products, StopToken());
        const at::Tensor v = at::ones_like(point.params);
        const at::Tensor bad = at::isnan(linear->jvp(v, StopToken())).any(1);
        CHECK(bad.sum().item<int64_t>() == 1);
        CHECK(bad[5].item<bool>());
        CHECK(at::isnan(linear->output()).any(1).sum().item<int64_t>() == 1);
        CHECK(at::isnan(linear->vjp(at::ones_like(linear->output()), StopToken()))
                  .any()
                  .item<bool>());
      }
    }
  });
}

TEST_CASE("a linearization does not refer to the caller's memory") {
  std::mt19937 random(8);
  const Point point = randomPoint(network(tanhCall(), 4, 9, 2), 33, 4, at::kFloat, random);
  const auto linear = linearizeFused(point, 1, StopToken());
  const at::Tensor v = at::ones_like(point.params);
  const at::Tensor before = linear->matvec(v, StopToken());
  point.params.fill_(7);
  point.inputs[0].fill_(7);
  CHECK(at::equal(linear->matvec(v, StopToken()), before));
}

/// linear → tanh → linear as torch.export decomposes it, around `shape` of the hidden value.
template <typename Reshape>
Point decomposed(std::mt19937& random, Reshape&& reshape) {
  ProgramBuilder builder;
  const int64_t w0 = builder.parameter({12, 5});
  const int64_t b0 = builder.parameter({12});
  const int64_t w1 = builder.parameter({3, 12});
  const int64_t b1 = builder.parameter({3});
  int64_t value = builder.call(
      "aten::addmm", {Ref{b0}, Ref{builder.input()}, Ref{builder.call("aten::t", {Ref{w0}})}});
  value = reshape(builder, builder.call("aten::tanh", {Ref{value}}));
  value = builder.call(
      "aten::mm",
      {Ref{value}, Ref{builder.call("aten::permute", {Ref{w1}, std::vector<double>{1, 0}})}});
  value = builder.call("aten::add.Tensor", {Ref{value}, Ref{b1}});
  return randomPoint(builder.build(value), 21, 5, at::kDouble, random);
}

TEST_CASE("decomposed linear layers and changes of shape are recognized") {
  std::mt19937 random(10);
  using Builder = ProgramBuilder;
  checkProducts(decomposed(random, [](Builder& b, int64_t value) {
    value = b.call("aten::unsqueeze", {Ref{value}, 1.0});
    value = b.call("aten::dropout", {Ref{value}, 0.5, false});
    value = b.call("aten::view", {Ref{value}, std::vector<double>{-1, 3, 4}});
    return b.call("aten::flatten.using_ints", {Ref{value}, 1.0, -1.0});
  }));
}

TEST_CASE("what is not a chain is left to autograd, with a reason") {
  std::mt19937 random(11);
  using Builder = ProgramBuilder;
  const auto obstacle = [&](auto&& reshape) { return fusedObstacle(decomposed(random, reshape)); };
  CHECK(obstacle([](Builder& b, int64_t value) {
          return b.call("aten::layer_norm", {Ref{value}, std::vector<double>{12}});
        }).find("aten::layer_norm") != std::string::npos);
  CHECK(obstacle([](Builder& b, int64_t value) {
          return b.call("aten::add.Tensor", {Ref{value}, Ref{value}, 1.0});
        }).empty());
  CHECK_FALSE(obstacle([](Builder& b, int64_t value) {
                return b.call("aten::mul.Tensor", {Ref{value}, Ref{value}});
              }).empty());
  CHECK_FALSE(obstacle([](Builder& b, int64_t value) {
                value = b.call("aten::view", {Ref{value}, std::vector<double>{7, 36}});
                return b.call("aten::view", {Ref{value}, std::vector<double>{21, 12}});
              }).empty());
}

TEST_CASE("a stop is heard") {
  std::mt19937 random(9);
  const Point point = randomPoint(network(tanhCall(), 4, 9, 2), 33, 4, at::kFloat, random);
  const StopToken stop;
  stop.request();
  const at::Tensor v = at::ones_like(point.params);
  CHECK_THROWS_AS(linearizeFusedOnce(point)->matvec(v, stop), Error);
}

}  // namespace tc::testing
