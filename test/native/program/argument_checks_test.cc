#include "core/program/argument_checks.h"

#include <ATen/ATen.h>

#include <limits>
#include <string>
#include <vector>

#include "code_of.h"
#include "core/program/allowed_operators.h"
#include "core/program/refused_call.h"
#include "core/program/schema.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

namespace {

using Shape = std::vector<int64_t>;

at::Tensor of(const Shape& shape) { return at::rand(shape, at::kDouble); }
at::Tensor whole(const std::vector<int64_t>& numbers) { return at::tensor(numbers, at::kInt); }

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
at::Tensor long64(const std::vector<int64_t>& numbers) { return at::tensor(numbers, at::kLong); }

/// A call that is right, and where it would be wrong: the place of an argument, and another for it.
struct Row {
  std::string target;
  std::vector<c10::IValue> arguments;
  std::vector<std::pair<size_t, c10::IValue>> wrong;
};

std::vector<Row> rows() {
  const Shape none;
  const at::Tensor lu = of({3, 3});
  const std::vector<std::pair<size_t, c10::IValue>> pivots = {
      {1, whole({1, 2, 4})}, {1, whole({0, 2, 3})}, {1, whole({1, 2})}, {1, of({3})}};
  std::vector<std::pair<size_t, c10::IValue>> of2 = pivots;
  for (auto& [place, value] : of2) place = 2;
  return {
      {"aten::_fft_r2c", {of({3, 4}), Shape{1}, 0, true}, {{1, Shape{-1}}, {1, Shape{2}}, {2, 3}}},
      {"aten::_fft_c2r",
       {at::rand({2, 4}, at::kComplexDouble), Shape{1}, 0, 7},
       {{3, 3}, {3, 4}, {3, 5}, {3, 8}, {0, at::rand({2, 5}, at::kComplexDouble)}, {1, none}}},
      {"aten::binary_cross_entropy",
       {of({}), of({}), c10::IValue(), 0},
       {{1, of({0})}, {1, of({1})}, {0, of({2})}}},
      {"aten::lcm",
       {long64({4, kLeast + 1}), long64({6, 1})},
       {{0, long64({4, kLeast})}, {1, long64({kLeast, 1})}}},
      {"aten::div.Tensor_mode",
       {long64({4, kLeast}), long64({6, 1}), "trunc"},
       {{1, long64({6, -1})}, {1, long64({-1})}}},
      {"aten::div.Scalar_mode",
       {whole({4, std::numeric_limits<int32_t>::min()}), 3, "trunc"},
       {{1, -1}}},
      {"aten::adaptive_avg_pool3d",
       {of({1, 2, 3, 4}), Shape{2, 0, 3}},
       {{1, Shape{int64_t{1} << 31, 0, 2}}, {1, Shape{int64_t{1} << 20, int64_t{1} << 20, 0}}}},
      {"aten::embedding_bag",
       {of({5, 3}), long64({0, 2, 1}), long64({0, 2}), false, 0, false, c10::IValue(), true},
       {{2, long64({0})}, {2, long64({1, 2})}, {2, long64({0, 4})}}},
      {"aten::grid_sampler_2d",
       {of({1, 1, 3, 3}), of({1, 2, 2, 2}), 0, 0, false},
       {{2, -3}, {3, 3}, {2, 4}}},
      {"aten::_pad_circular",
       {of({1, 4}), Shape{2, -1}},
       {{1, Shape{-1, 4}}, {1, Shape{1, -4}}, {1, Shape{5, 0}}, {1, Shape{-9, 9}}}},
      {"aten::_upsample_bilinear2d_aa",
       {of({1, 1, 2, 2}).requires_grad_(), Shape{3, 2}, false, c10::IValue(), c10::IValue()},
       {{1, Shape{3, 1}}, {1, Shape{4, 1}}}},
      {"aten::_upsample_bicubic2d_aa.vec",
       {of({1, 1, 2, 2}).requires_grad_(), c10::IValue(), false, std::vector<double>{2, 2}},
       {{3, std::vector<double>{1.5, 0.5}}}},
      {"aten::_upsample_bicubic2d_aa_backward",
       {of({1, 1, 2, 1}), Shape{2, 1}, Shape{1, 1, 2, 2}, false, c10::IValue(), c10::IValue()},
       {{2, Shape{1, 1, 3, 2}}}},
      {"aten::mse_loss_backward",
       {of({}), of({3, 2}).requires_grad_(), of({3, 2}), 1},
       {{2, of({2})}, {2, of({1})}, {0, of({3, 1})}}},
      {"aten::linalg_lu_solve", {lu, whole({1, 2, 3}), of({3, 2}), true, false}, pivots},
      {"aten::lu_unpack", {lu, whole({3, 3, 3}), true, true}, pivots},
      {"aten::_new_zeros_with_same_feature_meta", {of({2, 3}), of({4}), 0}, {{2, 1}, {2, 63}}},
      {"aten::lu_solve", {of({3, 2}), lu, whole({2, 2, 3})}, of2},
      {"aten::_adaptive_avg_pool2d_backward",
       {of({2, 3, 2, 2}), of({2, 3, 5, 4})},
       {{0, of({2, 2, 2, 2})}, {0, of({3, 2, 2})}, {1, of({2, 3, 0, 4})}}},
      {"aten::avg_pool2d_backward",
       {of({2, 3, 2, 2}), of({2, 3, 4, 4}), Shape{2, 2}, Shape{2, 2}, Shape{0, 0}, false, true,
        c10::IValue()},
       {{0, of({4, 3, 2, 2})}, {0, of({2, 4, 2, 2})}, {0, of({3, 2, 2})}}},
      {"aten::avg_pool3d_backward",
       {of({2, 1, 1, 1, 1}), of({2, 1, 2, 2, 2}), Shape{2, 2, 2}, Shape{2, 2, 2}, Shape{0, 0, 0},
        false, true, c10::IValue()},
       {{0, of({1, 1, 1, 1, 1})}, {0, of({2, 2, 1, 1, 1})}}},
      {"aten::_upsample_bilinear2d_aa_backward",
       {of({1, 1, 4, 4}), Shape{4, 4}, Shape{1, 1, 2, 2}, false, 2.0, 2.0},
       {{4, 1e-9}, {5, 0.5}, {2, Shape{1, 2, 2}}}},
      {"aten::upsample_linear1d_backward",
       {of({1, 1, 4}), Shape{4}, Shape{1, 1, 2}, false, 2.0},
       {{4, 0.01}, {2, Shape{1, 2}}}},
      {"aten::reflection_pad2d_backward",
       {of({2, 5, 8}), of({2, 4, 5}), Shape{1, 2, 1, 0}},
       {{0, of({2, 5, 7})}, {2, none}, {2, Shape{5, 2, 1, 0}}}},
      {"aten::replication_pad1d_backward",
       {of({2, 4}), of({2, 3}), Shape{1, 0}},
       {{0, of({1, 4})}}},
      {"aten::unfold_backward",
       {of({2, 2, 3}), Shape{2, 7}, 1, 3, 3},
       {{0, of({2, 3, 3})}, {1, Shape{2, -7}}, {2, 5}, {3, 8}, {4, 0}}},
      {"aten::native_layer_norm_backward",
       {of({4, 3}), of({4, 3}), Shape{3}, of({4, 1}), of({4, 1}), of({3}), of({3}),
        c10::List<bool>({true, true, true})},
       {{0, of({4, 2})}, {2, Shape{4}}, {3, of({3, 1})}, {5, of({4})}}},
      {"aten::convolution_backward",
       {of({2, 4, 3, 2}), of({2, 2, 5, 5}), of({4, 2, 3, 2}), Shape{4}, Shape{1, 2}, Shape{0},
        Shape{1, 1}, false, Shape{0, 0}, 1, c10::List<bool>({true, true, true})},
       {{0, of({2, 4, 3, 3})}, {2, of({4, 3, 3, 2})}, {4, Shape{0, 1}}, {9, 2}, {6, none}}},
  };
}

std::string refusal(const Row& row, const std::vector<c10::IValue>& arguments) {
  const c10::OperatorHandle op = findOperator(row.target);
  REQUIRE(isAllowed(op));
  const ArgumentCheck check = findArgumentCheck(op);
  REQUIRE(check != nullptr);
  try {
    check(op.schema(), arguments);
    return "";
  } catch (const RefusedCall& error) {
    return std::string(error.code().name()) + ": " + error.what_without_backtrace();
  }
}

}  // namespace

TEST_CASE("what libtorch takes on trust is looked at, and calls that are right run") {
  for (const Row& row : rows()) {
    CAPTURE(row.target);
    const std::string name = row.target.substr(0, row.target.find('.'));
    CHECK(refusal(row, row.arguments) == "");
    torch::jit::Stack stack = row.arguments;
    findOperator(row.target).callBoxed(stack);
    CHECK(stack.front().toTensor().isfinite().all().item<bool>());
    for (const auto& [place, value] : row.wrong) {
      CAPTURE(place);
      std::vector<c10::IValue> arguments = row.arguments;
      arguments[place] = value;
      CHECK(refusal(row, arguments).starts_with("ERR_SHAPE_MISMATCH: " + name));
    }
  }
}

TEST_CASE("reductions that there are not are refused") {
  const auto given = [](double reduction) {
    return test::codeOf([&] {
      test::Builder b;
      b.build(b.call("aten::soft_margin_loss", {b.input(), b.constant(of({3})), reduction}));
    });
  };
  for (const double known : {0.0, 1.0, 2.0}) CHECK(given(known).empty());
  for (const double unknown : {-1.0, 3.0, 5.0}) CHECK(given(unknown) == "ERR_MODEL_LOAD");
}

// Where another axis is empty, libtorch makes them.
TEST_CASE("a result has no size below zero") {
  const auto run = [](const std::string& target, std::vector<ProgramSpec::Argument> arguments) {
    test::Builder b;
    const auto y = b.call(target, std::move(arguments));
    return test::codeOf([&] {
      Point point{b.build(y), {}, {of({2, 3, 4, 4})}, {}};
      point.params = at::zeros({0}, at::kDouble);
      test::runModel(point, point.params);
    });
  };
  using List = std::vector<double>;
  const auto x = test::Builder().input();
  CHECK(run("aten::_adaptive_avg_pool2d", {x, List{0, 2}}).empty());
  CHECK(run("aten::_adaptive_avg_pool2d", {x, List{0, -2}}) == "ERR_SHAPE_MISMATCH");
}
