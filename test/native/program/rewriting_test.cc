#include <ATen/ATen.h>

#include <limits>
#include <string>
#include <vector>

#include "core/linearization/chunked.h"
#include "core/program/program.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;
using Ref = ProgramSpec::Ref;

namespace {

const StopToken kNever;

/// J and Jᵀ of one row of outputs are the same matrix, `expected`, [outputs, P].
void checkJacobian(const Builder& b, Ref y, const at::Tensor& params, const at::Tensor& x,
                   const std::vector<at::Tensor>& constants, const at::Tensor& expected) {
  const Point point = placed({b.build(y), params, {x}, constants}, at::kCPU);
  ChunkedLinearization linearization(point, ChunkOptions{Engine::kAutograd}, kNever);
  const int64_t outputs = expected.size(0);
  for (int64_t i = 0; i < params.numel(); ++i) {
    at::Tensor v = at::zeros_like(params);
    v[i] = 1;
    CHECK(linearization.jvp(v, kNever).reshape({-1}).equal(expected.select(1, i)));
  }
  for (int64_t i = 0; i < outputs; ++i) {
    at::Tensor u = at::zeros({outputs}, params.options());
    u[i] = 1;
    const at::Tensor shaped = u.view_as(linearization.output());
    CHECK(linearization.vjp(shaped, kNever).equal(expected[i]));
  }
  const at::Tensor v = at::arange(1, params.numel() + 1, at::kDouble);
  CHECK(linearization.matvec(v, kNever).equal(expected.t().mv(expected.mv(v))));
  at::Tensor rows = at::empty_like(expected);
  linearization.jacobian(0, 1, rows, kNever);
  CHECK(rows.equal(expected));
}

}  // namespace

TEST_CASE("maxima of what is scattered, where what they leave out is as large") {
  // Largest of the first two is 0, or −∞, as is what is there without them.
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const bool slices : {false, true}) {
    for (const double sign : {1.0, -1.0}) {
      for (const double largest : {0.0, -kInfinity}) {
        CAPTURE(slices);
        CAPTURE(sign);
        CAPTURE(largest);
        const at::Tensor places = at::tensor({0, 2, 2}, at::kLong);
        Builder b;
        const Ref w = b.parameter({1, 3});
        const Ref index = b.constant(slices ? places : places.view({1, 3}));
        const Ref features = b.call("aten::mul.Tensor", {b.input(), w});
        const Ref out = b.constant(at::full({1, 4}, sign * largest, at::kDouble));
        const char* const target = slices ? "aten::index_reduce" : "aten::scatter_reduce.two";
        const std::string reduce = sign > 0 ? "amax" : "amin";
        const Ref y = b.call(target, {out, 1.0, index, features, reduce, false});
        const at::Tensor x = at::tensor({2.0, 2.0, 3.0}, at::kDouble).view({1, 3});
        const at::Tensor params = sign * at::tensor({largest, -1.0, 5.0}, at::kDouble);
        const at::Tensor expected = at::zeros({4, 3}, at::kDouble);
        expected[0][0] = 2;
        expected[2][2] = 3;
        const Point point = placed({b.build(y), params, {x}, {}}, at::kCPU);
        checkJacobian(b, y, params, x, point.constants, expected);
      }
    }
  }
}

TEST_CASE("maxima of numbers without derivatives, scattered") {
  for (const auto dtype : {at::kLong, at::kBool}) {
    CAPTURE(dtype);
    const at::Tensor index = at::tensor({0, 0, 2}, at::kLong).view({1, 3});
    Builder b;
    const Ref w = b.parameter({1});
    const Ref numbers = b.call("aten::to.dtype", {b.input(), static_cast<double>(dtype)});
    const Ref none = b.call("aten::zeros_like", {numbers});
    const Ref found = b.call("aten::scatter_reduce.two",
                             {none, 1.0, b.constant(index), numbers, std::string("amax"), false});
    const Ref y = b.call("aten::mul.Tensor", {found, w});
    const at::Tensor x = at::tensor({0.0, 1.0, 1.0}, at::kDouble).view({1, 3});
    const at::Tensor expected = at::tensor({1.0, 0.0, 1.0}, at::kDouble).view({3, 1});
    checkJacobian(b, y, at::ones({1}, at::kDouble), x, {index}, expected);
  }
}

TEST_CASE("maxima of bags of rows that are zero, without a row that counts for nothing") {
  for (const bool pads : {false, true}) {
    CAPTURE(pads);
    Builder b;
    const Ref table = b.parameter({3, 2});
    const at::Tensor offsets = at::tensor({0, 3, 3}, at::kLong);
    const Ref starts = b.constant(offsets);
    const Ref places = b.call("aten::flatten.using_ints", {b.input(), 0.0, -1.0});
    std::vector<ProgramSpec::Argument> arguments{table, places, starts, false,
                                                 2.0,   false,  {},     false};
    if (pads) arguments.emplace_back(1.0);
    const Ref bags = b.call("aten::embedding_bag.padding_idx", std::move(arguments), 4);
    const Ref y = b.call("aten::unsqueeze", {bags, 0.0});
    // Row 0 is zero, row 1 is larger, row 2 smaller; the second bag is empty.
    const at::Tensor params = at::tensor({0.0, 0.0, 1.0, 2.0, -1.0, -2.0}, at::kDouble);
    const at::Tensor indices = at::tensor({0, 1, 2, 2}, at::kLong).view({1, 4});
    const at::Tensor expected = at::zeros({6, 6}, at::kDouble);
    const int64_t largest = pads ? 0 : 1;
    for (int64_t i = 0; i < 2; ++i) {
      expected[i][2 * largest + i] = 1;
      expected[4 + i][4 + i] = 1;
    }
    checkJacobian(b, y, params, indices, {offsets}, expected);
  }
}
