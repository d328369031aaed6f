#include <functional>
#include <vector>

#include "code_of.h"
#include "core/linearization/chunked.h"
#include "core/linearization/rows.h"
#include "core/losses/objective.h"
#include "core/operators/hessian.h"
#include "core/products/dense.h"
#include "core/products/forward.h"
#include "core/products/on_the_fly.h"
#include "core/program/program.h"
#include "core/runtime/error.h"
#include "counts.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

const StopToken kNever;

Point pointOf(const Builder& b, ProgramSpec::Ref output, const at::Tensor& x) {
  Point made{b.build(output), {}, {x}, {}};
  made.params = randomLike(at::zeros({made.program->parameterCount()}, at::kDouble), 1);
  return made;
}

/// W x + b of each row and what a function makes of it.
using Mix = std::function<ProgramSpec::Ref(Builder&, ProgramSpec::Ref)>;

Point mixed(const Mix& mix, int64_t batch) {
  Builder b;
  const ProgramSpec::Ref h = b.linear(b.input(), 3, 2);
  const ProgramSpec::Ref y = mix(b, b.call("aten::tanh", {h}));
  return pointOf(b, y, randomLike(at::zeros({batch, 3}, at::kDouble), 2));
}

const std::vector<double> kBatchAxis{0};

const std::vector<std::pair<const char*, Mix>> kDependent = {
    {"softmax", [](Builder& b, auto h) { return b.call("aten::softmax.int", {h, 0.0}); }},
    {"mean",
     [](Builder& b, auto h) {
       return b.call("aten::sub.Tensor", {h, b.call("aten::mean.dim", {h, kBatchAxis, true})});
     }},
    {"a thousandth of the mean of squares",
     [](Builder& b, auto h) {
       const auto squares = b.call("aten::mul.Tensor", {h, h});
       const auto mean = b.call("aten::mean.dim", {squares, kBatchAxis, true});
       return b.call("aten::add.Tensor",
                     {h, b.call("aten::mul.Tensor", {mean, ProgramSpec::Float{1e-3}})});
     }},
    {"largest",
     [](Builder& b, auto h) {
       return b.call("aten::sub.Tensor", {h, b.call("aten::amax", {h, kBatchAxis, true})});
     }},
    {"neighbor",
     [](Builder& b, auto h) {
       const auto moved = b.call("aten::roll", {h, std::vector<double>{1}, std::vector<double>{0}});
       return b.call("aten::add.Tensor", {h, moved});
     }},
    {"of even and odd places",
     [](Builder& b, auto h) {
       const ProgramSpec::Size rows{ProgramSpec::Size::Kind::kAxis, h.value, 0, {}};
       const auto places = b.call("aten::remainder.Scalar", {b.call("aten::arange", {rows}), 2.0});
       return b.call("aten::add.Tensor", {h, b.call("aten::unsqueeze", {places, 1.0})});
     }},
    {"running sum", [](Builder& b, auto h) { return b.call("aten::cumsum", {h, 0.0}); }},
    {"reversed",
     [](Builder& b, auto h) { return b.call("aten::flip", {h, std::vector<double>{0}}); }},
    {"products of rows",
     [](Builder& b, auto h) { return b.call("aten::mm", {h, b.call("aten::t", {h})}); }},
    {"sorted", [](Builder& b, auto h) { return b.call("aten::sort", {h, 0.0}, 2); }},
};

/// The places of the rows, [n].
ProgramSpec::Ref placesOf(Builder& b, ProgramSpec::Ref h) {
  return b.call("aten::arange",
                {ProgramSpec::Size{ProgramSpec::Size::Kind::kAxis, h.value, 0, {}}});
}

/// Of many rows alone, or of rows that none of the usual numbers shows.
const std::vector<std::pair<const char*, Mix>> kSeldomDependent = {
    {"places beyond 16",
     [](Builder& b, auto h) {
       const auto below = b.call("aten::lt.Scalar", {placesOf(b, h), 16.0});
       return b.call("aten::mul.Tensor", {h, b.call("aten::unsqueeze", {below, 1.0})});
     }},
    {"places beyond 20",
     [](Builder& b, auto h) {
       const auto places = placesOf(b, h);
       const auto far = b.call("aten::ge.Scalar", {places, 20.0});
       const auto near = b.call("aten::masked_fill.Scalar", {places, far, 0.0});
       return b.call("aten::index_select", {h, 0.0, near});
     }},
    {"more than three rows",
     [](Builder& b, auto h) {
       const auto many = b.call("aten::amax", {placesOf(b, h), kBatchAxis});
       return b.call("aten::mul.Tensor", {h, b.call("aten::gt.Scalar", {many, 2.0})});
     }},
    {"the largest, where it is large",
     [](Builder& b, auto h) {
       const auto x = b.call("aten::abs", {b.input()});
       const auto largest = b.call("aten::amax", {x, std::vector<double>{0, 1}});
       return b.call("aten::div.Tensor", {h, b.call("aten::clamp", {largest, 50.0})});
     }},
    {"the derivatives of the first",
     [](Builder& b, auto h) {
       const auto first =
           b.call("aten::detach", {b.call("aten::slice.Tensor", {h, 0.0, 0.0, 1.0})});
       const auto others = b.call("aten::slice.Tensor", {h, 0.0, 1.0});
       return b.call("aten::cat", {ProgramSpec::Refs{{first.value, others.value}}, 0.0});
     }},
    {"a parameter for each row, which is 0",
     [](Builder& b, auto h) {
       const ProgramSpec::Size rows{ProgramSpec::Size::Kind::kAxis, h.value, 0, {}};
       const auto mine = b.call("aten::slice.Tensor", {b.parameter({40, 1}), 0.0, 0.0, rows});
       return b.call("aten::add.Tensor", {h, mine});
     }},
};

}  // namespace

TEST_CASE("rows of layers are independent") {
  for (const Model& model : models()) {
    for (const auto dtype : {at::kDouble, at::kFloat}) {
      CAPTURE(model.name);
      Point point = model.point;
      point.params = point.params.to(dtype);
      for (at::Tensor& input : point.inputs)
        if (input.is_floating_point()) input = input.to(dtype);
      for (at::Tensor& constant : point.constants)
        if (constant.is_floating_point()) constant = constant.to(dtype);
      CHECK_NOTHROW(requireIndependentRows(point, kNever));
      for (at::Tensor& input : point.inputs) {
        auto repeats = std::vector<int64_t>(static_cast<size_t>(input.dim()), 1);
        repeats[0] = 9;
        input = input.repeat(repeats);
      }
      CHECK_NOTHROW(requireIndependentRows(point, kNever));
    }
  }
}

TEST_CASE("rows that depend on one another are refused where they are cut apart, and only there") {
  for (const auto& [name, mix] : kDependent) {
    for (const int64_t batch : test::byCounts<std::vector<int64_t>>({3, 40}, {2, 3, 8, 40})) {
      CAPTURE(name);
      CAPTURE(batch);
      const Point point = mixed(mix, batch);
      const at::Tensor v = randomLike(point.params, 3);
      const at::Tensor j = jacobianByRows(point);
      const at::Tensor expected = j.t().mv(j.mv(v));
      CHECK(difference(matvecOnTheFly(point, v, Engine::kAuto, 0, kNever), expected) < 1e-12);
      ChunkedLinearization whole(point, {}, kNever);
      CHECK(difference(whole.matvec(v, kNever), expected) < 1e-12);
      const std::function<void()> cuts[] = {
          [&] { whole.requireIndependentRows(kNever); },
          [&] { matvecOnTheFly(point, v, Engine::kAuto, batch / 2, kNever); },
          [&] { matvecDense(point, v, DenseStrategy::kGram, Engine::kAuto, 0, kNever); },
          [&] { matvecDense(point, v, DenseStrategy::kJacobian, Engine::kAutograd, 0, kNever); },
          [&] { ChunkedLinearization(point, {Engine::kAuto, batch / 2}, kNever); },
          [&] {
            ChunkedLinearization(point, {Engine::kAuto, 0, batch > 8 ? 1 : 0}, kNever)
                .requireIndependentRows(kNever);
          },
      };
      for (const auto& cut : cuts) CHECK(codeOf(cut) == "ERR_UNSUPPORTED_OP");
    }
    CHECK_NOTHROW(requireIndependentRows(mixed(mix, 1), kNever));
  }
}

TEST_CASE("rows that depend on one another in second derivatives alone have a Hessian as a whole") {
  const std::vector<std::pair<const char*, Mix>> mixes = {
      {"mean",
       [](Builder& b, auto h) {
         const auto off = b.call("aten::sub.Tensor", {h, b.call("aten::detach", {h})});
         const auto mean = b.call("aten::mean.dim", {off, kBatchAxis, true});
         return b.call("aten::add.Tensor", {h, b.call("aten::mul.Tensor", {off, mean})});
       }},
      {"neighbor",
       [](Builder& b, auto h) {
         const auto off = b.call("aten::sub.Tensor", {h, b.call("aten::detach", {h})});
         const auto moved =
             b.call("aten::roll", {off, std::vector<double>{1}, std::vector<double>{0}});
         return b.call("aten::add.Tensor", {h, b.call("aten::mul.Tensor", {off, moved})});
       }},
  };
  const auto hessianOf = [](const Point& point, int64_t chunkSize) {
    const at::Tensor target = at::zeros_like(forwardPass(point, 0, kNever));
    const Objective objective =
        makeObjective(makeLoss("mse"), outputLike(point), target, Reduction::kSum);
    ChunkOptions options;
    options.chunkSize = chunkSize;
    return hessian(point, options, objective, {}, kNever);
  };
  for (const auto& [name, mix] : mixes) {
    CAPTURE(name);
    for (const int64_t batch : {3, 6, 40}) {
      const Point point = mixed(mix, batch);
      CHECK_NOTHROW(requireIndependentRows(point, kNever));
      CHECK_NOTHROW(hessianOf(point, 0));
      CHECK(codeOf([&] { hessianOf(point, 2); }) == "ERR_UNSUPPORTED_OP");
    }
  }
  const Point separate = mixed([](Builder& b, auto h) { return b.call("aten::sin", {h}); }, 6);
  CHECK_NOTHROW(requireIndependentSecondDerivatives(separate, kNever));
  CHECK(difference(hessianOf(separate, 2)->toDense(kNever),
                   hessianOf(separate, 0)->toDense(kNever)) < 1e-12);
}

TEST_CASE("rows that seldom show that they depend on one another are refused") {
  for (const auto& [name, mix] : kSeldomDependent) {
    CAPTURE(name);
    Point point = mixed(mix, 40);
    point.inputs[0][5].mul_(100);
    const auto& last = point.program->parameters().back();
    if (last.shape == std::vector<int64_t>{40, 1}) point.params.narrow(0, last.offset, 40).zero_();
    const at::Tensor v = randomLike(point.params, 3);
    const at::Tensor j = jacobianByRows(point);
    CHECK(difference(matvecOnTheFly(point, v, Engine::kAuto, 0, kNever), j.t().mv(j.mv(v))) <
          1e-12);
    const std::function<void()> cuts[] = {
        [&] { tryIndependentRows(point, kNever); },
        [&] { matvecDense(point, v, DenseStrategy::kGram, Engine::kAuto, 0, kNever); },
        [&] { matvecOnTheFly(point, v, Engine::kAuto, 8, kNever); },
    };
    for (const auto& cut : cuts) CHECK(codeOf(cut) == "ERR_UNSUPPORTED_OP");
  }
}
