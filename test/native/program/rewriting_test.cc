#include <ATen/ATen.h>

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
  CHECK(linearization.matvec(params + 1, kNever)
            .allclose(expected.t().mv(expected.mv(params + 1)), 1e-13, 1e-13));
  at::Tensor rows = at::empty_like(expected);
  linearization.jacobian(0, 1, rows, kNever);
  CHECK(rows.equal(expected));
}

}  // namespace

TEST_CASE("maxima of what is scattered, where what they leave out is as large") {
  // Largest of the first two is 0, as is what is there without them.
  for (const double sign : {1.0, -1.0}) {
    Builder b;
    const Ref w = b.parameter({1, 3});
    const Ref index = b.constant(at::tensor({0, 0, 2}, at::kLong).view({1, 3}));
    const Ref features = b.call("aten::mul.Tensor", {b.input(), w});
    const Ref none = b.call(
        "aten::new_zeros", {features, ProgramSpec::Sizes{{ProgramSpec::Size::Kind::kConstant, 1},
                                                         {ProgramSpec::Size::Kind::kConstant, 4}}});
    const Ref y =
        b.call("aten::scatter_reduce.two",
               {none, 1.0, index, features, std::string(sign > 0 ? "amax" : "amin"), false});
    const at::Tensor x = at::tensor({1.0, 2.0, 3.0}, at::kDouble).view({1, 3});
    const at::Tensor params = sign * at::tensor({0.0, -1.0, 5.0}, at::kDouble);
    const at::Tensor expected = at::zeros({4, 3}, at::kDouble);
    expected[0][0] = 1;
    expected[2][2] = 3;
    checkJacobian(b, y, params, x, {at::tensor({0, 0, 2}, at::kLong).view({1, 3})}, expected);
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
