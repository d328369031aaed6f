#include "core/program/sizes.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/runtime/error.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

namespace {

using Size = ProgramSpec::Size;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();

Size whole(int64_t number) { return {Size::Kind::kConstant, number}; }
Size real(double number) { return {Size::Kind::kReal, 0, 0, {}, nullptr, number}; }

Number of(const char* function, const std::vector<Size>& operands) {
  REQUIRE(findSizeFunction(function) != nullptr);
  return evaluate(sizeOf(function, operands), {});
}

std::string failure(const char* function, const std::vector<Size>& operands) {
  try {
    of(function, operands);
    return "";
  } catch (const Error& error) {
    return std::string(error.code().name());
  }
}

}  // namespace

TEST_CASE("whole quotients and remainders are those of Python") {
  for (const int64_t a : {-7, -6, -1, 0, 1, 6, 7}) {
    for (const int64_t b : {-3, -2, -1, 1, 2, 3}) {
      CAPTURE(a);
      CAPTURE(b);
      const int64_t quotient = toWhole(of("//", {whole(a), whole(b)}));
      const int64_t rest = toWhole(of("%", {whole(a), whole(b)}));
      CHECK(quotient * b + rest == a);
      CHECK(std::abs(rest) < std::abs(b));
      CHECK((rest == 0 || (rest < 0) == (b < 0)));
      // Of numbers that are not whole they have the same values, and are not whole.
      CHECK(of("//", {real(static_cast<double>(a)), whole(b)}) ==
            Number(static_cast<double>(quotient)));
      CHECK(toReal(of("%", {whole(a), real(static_cast<double>(b))})) == static_cast<double>(rest));
    }
  }
}

TEST_CASE("comparisons and choices agree with each other") {
  const std::vector<Size> numbers{whole(-2), whole(0), whole(3), real(-2.5), real(3)};
  for (const Size& a : numbers) {
    for (const Size& b : numbers) {
      const auto holds = [&](const char* comparison) {
        return toWhole(of(comparison, {a, b})) == 1;
      };
      CHECK(int{holds("<")} + int{holds("==")} + int{holds(">")} == 1);
      CHECK(holds("<=") != holds(">"));
      CHECK(holds(">=") != holds("<"));
      CHECK(holds("!=") != holds("=="));
      const Number larger = of("choose", {sizeOf("<", {a, b}), b, a});
      CHECK(toReal(of("maximum", {a, b})) == toReal(larger));
      CHECK(toReal(of("+", {sizeOf("maximum", {a, b}), sizeOf("minimum", {a, b})})) ==
            toReal(of("+", {a, b})));
    }
  }
}

TEST_CASE("powers are products, as long as 64 bits hold them") {
  for (const int64_t a : {-3, -1, 0, 1, 2, 10}) {
    Number product = int64_t{1};
    for (int64_t n = 0; n < 8; ++n) {
      CAPTURE(a);
      CAPTURE(n);
      CHECK(of("**", {whole(a), whole(n)}) == product);
      product = toWhole(product) * a;
    }
  }
  CHECK(of("**", {whole(-1), whole(kMost)}) == Number(int64_t{-1}));
  CHECK(of("**", {whole(2), whole(-1)}) == Number(0.5));
}

TEST_CASE("what 64 bits do not hold, and divisions by zero, are errors") {
  const std::vector<std::pair<const char*, std::vector<Size>>> calls = {
      {"+", {whole(kMost), whole(1)}}, {"-", {whole(kLeast), whole(1)}},
      {"*", {whole(kMost), whole(2)}}, {"//", {whole(kLeast), whole(-1)}},
      {"negative", {whole(kLeast)}},   {"**", {whole(10), whole(20)}},
      {"truncate", {real(1e300)}},     {"truncate", {real(std::nan(""))}},
      {"//", {whole(1), whole(0)}},    {"%", {real(1.5), whole(0)}},
      {"/", {whole(1), whole(0)}},
  };
  for (const auto& [function, operands] : calls) {
    CAPTURE(function);
    CHECK(failure(function, operands) == "ERR_SHAPE_MISMATCH");
  }
  CHECK_THROWS_AS(toWhole(Number(2.0)), Error);
}

TEST_CASE("sizes are those of the values, and items numbers in them") {
  const std::vector<at::Tensor> values{at::zeros({5, 3}), at::scalar_tensor(4, at::kLong),
                                       at::scalar_tensor(0.5, at::kDouble)};
  const Size rows{Size::Kind::kAxis, 0, 0};
  const Size columns{Size::Kind::kAxis, 0, -1};
  CHECK(evaluate(sizeOf("*", {rows, columns}), values) == Number(int64_t{15}));
  CHECK(evaluate({Size::Kind::kItem, 1}, values) == Number(int64_t{4}));
  CHECK(evaluate(sizeOf("sqrt", {sizeOf("/", {rows, {Size::Kind::kItem, 2}})}), values) ==
        Number(std::sqrt(10.0)));
  CHECK_THROWS_AS(evaluate({Size::Kind::kItem, 0}, values), Error);
}
