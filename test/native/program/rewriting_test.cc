#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "code_of.h"
#include "core/linearization/chunked.h"
#include "core/products/on_the_fly.h"
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

TEST_CASE("weights by their norms have right second derivatives") {
  const at::Tensor x = randomLike(at::zeros({3, 2}, at::kDouble), 1);
  for (const bool kernel : {false, true}) {
    for (const double axis : {0.0, 1.0, -1.0}) {
      if (kernel && axis < 0) continue;
      CAPTURE(kernel);
      CAPTURE(axis);
      Builder b;
      const int64_t slices = axis == 0 ? 4 : axis == 1 ? 2 : 1;
      const std::vector<int64_t> shape = axis == 0   ? std::vector<int64_t>{4, 1}
                                         : axis == 1 ? std::vector<int64_t>{1, 2}
                                                     : std::vector<int64_t>{};
      const Ref v = b.parameter({4, 2});
      const Ref g = b.parameter(shape);
      const Ref w = kernel ? b.call("aten::_weight_norm_interface", {v, g, axis}, 2)
                           : b.call("aten::_weight_norm", {v, g, axis});
      const Ref y = b.call("aten::tanh", {b.call("aten::linear", {b.input(), w})});
      const at::Tensor params = randomLike(at::zeros({8 + slices}, at::kDouble), 2);
      const auto program = b.build(y);
      const auto byHand = [&](const at::Tensor& theta) {
        const at::Tensor weights = theta.narrow(0, 0, 8).view({4, 2});
        const at::Tensor norms =
            axis < 0 ? (weights * weights).sum().sqrt()
                     : (weights * weights).sum(axis == 0 ? 1 : 0, /*keepdim=*/true).sqrt();
        const at::Tensor scale = theta.narrow(0, 8, slices).view(shape);
        return at::linear(x, weights * (scale / norms)).tanh();
      };
      const auto derivatives = [&](const auto& model) {
        const at::Tensor theta = params.clone().requires_grad_();
        const at::Tensor sum = (model(theta) * at::arange(1, 13, at::kDouble).view({3, 4})).sum();
        const auto first = torch::autograd::grad({sum}, {theta}, {}, true, true).front();
        const auto second =
            torch::autograd::grad({first.dot(randomLike(params, 3))}, {theta}).front();
        return std::pair{first.detach(), second};
      };
      const auto [gradient, second] = derivatives([&](const at::Tensor& theta) {
        return program->run(program->unflatten(theta), {x}, {});
      });
      const auto [expected, expectedSecond] = derivatives(byHand);
      CHECK(difference(gradient, expected) < 1e-13);
      CHECK(difference(second, expectedSecond) < 1e-13);
    }
  }
}

TEST_CASE("functions without a derivative are refused where one is asked for") {
  const at::Tensor x = at::tensor({0.5, 2.0}, at::kDouble).view({2, 1});
  for (const std::string name :
       {"airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_k0",
        "modified_bessel_k1", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1",
        "spherical_bessel_j0"}) {
    CAPTURE(name);
    Builder b;
    const Ref w = b.parameter({1});
    const Ref h = b.call("aten::mul.Tensor", {b.input(), w});
    const Ref y = b.call("aten::special_" + name, {h});
    const at::Tensor params = at::ones({1}, at::kDouble);
    const Point point = placed({b.build(y), params, {x}, {}}, at::kCPU);
    CHECK(runModel(point, params).isfinite().all().item<bool>());
    CHECK(codeOf([&] { ChunkedLinearization(point, {}, kNever); }) == "ERR_UNSUPPORTED_OP");
    CHECK(codeOf([&] { matvecOnTheFly(point, params, Engine::kAuto, 0, kNever); }) ==
          "ERR_UNSUPPORTED_OP");
    // Of inputs it is a constant.
    Builder other;
    const Ref scale = other.parameter({1});
    const Ref constant = other.call("aten::special_" + name, {other.input()});
    const Ref scaled = other.call("aten::mul.Tensor", {constant, scale});
    const Point fine = placed({other.build(scaled), params, {x}, {}}, at::kCPU);
    CHECK_NOTHROW(matvecOnTheFly(fine, params, Engine::kAuto, 0, kNever));
  }
}

TEST_CASE("modified Bessel functions have the derivatives of those that have some") {
  const at::Tensor x = at::tensor({0.5}, at::kDouble).view({1, 1});
  for (const bool first : {false, true}) {
    Builder b;
    const Ref w = b.parameter({1});
    const Ref h = b.call("aten::mul.Tensor", {b.input(), w});
    const Ref y = b.call(
        first ? "aten::special_modified_bessel_i1" : "aten::special_modified_bessel_i0", {h});
    const at::Tensor params = at::full({1}, 3.0, at::kDouble);
    // I₀' = I₁ and I₁' = I₀ − I₁ / z
    const at::Tensor z = at::tensor({1.5}, at::kDouble);
    const at::Tensor slope = first ? at::special_i0(z) - at::special_i1(z) / z : at::special_i1(z);
    const Point point = placed({b.build(y), params, {x}, {}}, at::kCPU);
    ChunkedLinearization linearization(point, {}, kNever);
    CHECK(difference(linearization.jvp(at::ones({1}, at::kDouble), kNever).reshape({1}),
                     slope * 0.5) < 1e-14);
  }
}

TEST_CASE("Vandermonde's matrices are those of libtorch") {
  const at::Tensor x = at::tensor({0.5, -2.0, 3.0}, at::kDouble);
  const auto computed = [&](const std::vector<ProgramSpec::Argument>& options) {
    Builder b;
    std::vector<ProgramSpec::Argument> arguments{b.parameter({3})};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Ref y = b.call("aten::unsqueeze", {b.call("aten::vander", arguments), 0.0});
    const Point point{b.build(y), x, {at::zeros({1}, at::kDouble)}, {}};
    return runModel(point, x).squeeze(0);
  };
  CHECK(computed({}).equal(at::vander(x)));
  CHECK(computed({5.0}).equal(at::vander(x, 5)));
  CHECK(computed({5.0, true}).equal(at::vander(x, 5, true)));
  CHECK(computed({1.0}).equal(at::vander(x, 1)));
}

TEST_CASE("blocks behind a vector without elements") {
  // A row of zeros stands for it.
  Builder b;
  const Ref w = b.parameter({1});
  const Ref m = b.parameter({2});
  const Ref none = b.constant(at::zeros({0}, at::kDouble));
  const Ref y = b.call(
      "aten::unsqueeze",
      {b.call("aten::block_diag", {ProgramSpec::Refs{{w.value, none.value, m.value}}}), 0.0});
  at::Tensor expected = at::zeros({9, 3}, at::kDouble);
  expected[0][0] = 1;
  expected[7][1] = 1;
  expected[8][2] = 1;
  b.input();
  const at::Tensor params = at::tensor({2.0, 3.0, 4.0}, at::kDouble);
  checkJacobian(b, y, params, at::zeros({1, 1}, at::kDouble), {at::zeros({0}, at::kDouble)},
                expected);
}

TEST_CASE("the least and the largest of rows, with their axes") {
  Builder b;
  const Ref w = b.parameter({3});
  const Ref x = b.call("aten::mul.Tensor", {b.input(), w});
  const Ref both = b.call("aten::aminmax", {x, std::monostate{}, true}, 2);
  const Ref spread = b.call("aten::sub.Tensor", {Ref{both.value + 1}, both});
  // Their places, which have no derivative: 1 and 0.
  const Ref last = b.call("aten::argmin", {x, std::monostate{}, true});
  const Ref first = b.call("aten::argmax", {x, std::monostate{}, true});
  const Ref y = b.call("aten::mul.Tensor", {spread, b.call("aten::sub.Tensor", {last, first})});
  at::Tensor expected = at::zeros({1, 3}, at::kDouble);
  const at::Tensor numbers = at::tensor({4.0, -3.0, 2.0}, at::kDouble).view({1, 3});
  expected[0][0] = 4;
  expected[0][1] = 3;
  checkJacobian(b, y, at::ones({3}, at::kDouble), numbers, {}, expected);
}

TEST_CASE("slices filled with a value of each row") {
  // Rows [w₀x₀ + w₁x₁] at two of four places, of which one is told twice.
  Builder b;
  const Ref w = b.parameter({2});
  const Ref sum = b.call("aten::mv", {b.input(), w});
  const Ref value = b.call("aten::sum", {sum});
  const Ref index = b.constant(at::tensor({2, 0, 2}, at::kLong));
  const Ref zeros = b.constant(at::zeros({1, 4}, at::kDouble));
  const Ref y = b.call("aten::index_fill.int_Tensor", {zeros, -1.0, index, value});
  const at::Tensor x = at::tensor({0.5, -3.0}, at::kDouble).view({1, 2});
  at::Tensor expected = at::zeros({4, 2}, at::kDouble);
  expected[0] = x[0];
  expected[2] = x[0];
  checkJacobian(b, y, at::tensor({2.0, 1.0}, at::kDouble), x,
                {at::tensor({2, 0, 2}, at::kLong), at::zeros({1, 4}, at::kDouble)}, expected);
}

TEST_CASE("quotients of whole numbers keep their precision") {
  const at::Tensor x = at::tensor({0.5}, at::kDouble).view({1, 1});
  Builder b;
  const Ref w = b.parameter({});
  const Ref count = b.constant(at::tensor({int64_t{7}}, at::kLong));
  const Ref y = b.call("aten::addcdiv", {b.input(), count, w}, 1);
  const Point point = placed({b.build(y), at::full({1}, 3.0, at::kDouble), {x}, {}}, at::kCPU);
  ChunkedLinearization linearization(point, {}, kNever);
  const at::Tensor slope = at::full({1}, -7.0 / 9, at::kDouble);
  CHECK(difference(linearization.jvp(at::ones({1}, at::kDouble), kNever).reshape({1}), slope) <
        1e-15);
  CHECK(difference(linearization.vjp(at::ones({1, 1}, at::kDouble), kNever), slope) < 1e-15);
}

TEST_CASE("views of what another kernel lays out in another way") {
  // Transposed rows have no view; the same numbers in the order of the axes are meant.
  Builder b;
  const Ref w = b.parameter({2, 3});
  const Ref rows = b.call("aten::mul.Tensor", {b.call("aten::unsqueeze", {b.input(), 1.0}), w});
  const Ref turned = b.call("aten::transpose.int", {rows, 1.0, 2.0});
  const Ref y = b.call("aten::view", {turned, std::vector<double>{-1, 6}});
  const at::Tensor x = at::tensor({2.0, 3.0, 5.0}, at::kDouble).view({1, 3});
  const at::Tensor expected = at::zeros({6, 6}, at::kDouble);
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 3; ++j) expected[2 * j + i][3 * i + j].copy_(x[0][j]);
  }
  checkJacobian(b, y, at::arange(6, at::kDouble), x, {}, expected);
}
