#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "core/program/program.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

TEST_CASE("numbers of a float64 graph that float32 has not become its last ones") {
  constexpr double kMost = std::numeric_limits<double>::max();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const at::Tensor mask = at::tensor({-kMost, 1.0, -kInfinity, kMost}, at::kDouble);
  Builder b;
  b.parameter({1});
  const auto filled =
      b.call("aten::masked_fill.Scalar",
             {b.input(), b.call("aten::gt.Scalar", {b.input(), 0.0}), ProgramSpec::Float{-kMost}});
  const auto y = b.call("aten::cat", {ProgramSpec::Refs{{filled.value, b.constant(mask).value}}});
  const auto program = b.build(y);
  const at::Tensor x = at::tensor({-1.0, 1.0}, at::kDouble);
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const Point point = placed({program, at::zeros({1}, dtype), {x.to(dtype)}, {}}, at::kCPU);
    const at::Tensor result =
        program->run(program->unflatten(point.params), point.inputs, point.constants);
    const double most = dtype == at::kFloat ? std::numeric_limits<float>::max() : kMost;
    const at::Tensor expected =
        at::tensor({-1.0, -most, -most, 1.0, -kInfinity, most}, at::kDouble);
    CHECK(result.to(at::kDouble).equal(expected));
  }
}
