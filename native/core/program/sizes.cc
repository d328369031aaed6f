#include "core/program/sizes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "core/runtime/error.h"

namespace tc {
namespace {

using Size = ProgramSpec::Size;
using Numbers = std::vector<Number>;

Error beyond() { return Error("ERR_SHAPE_MISMATCH", "the model computes a size beyond 64 bits"); }
Error byZero() { return Error("ERR_SHAPE_MISMATCH", "the model divides by a size that is 0"); }

/// Both, where both are whole.
std::optional<std::pair<int64_t, int64_t>> whole(const Numbers& operands) {
  const auto* left = std::get_if<int64_t>(&operands[0]);
  const auto* right = std::get_if<int64_t>(&operands[1]);
  if (left == nullptr || right == nullptr) return {};
  return std::pair(*left, *right);
}

Number wholeOf(double real) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (!(real >= -kLimit && real < kLimit)) throw beyond();
  return static_cast<int64_t>(real);
}

using Checked = bool (*)(int64_t, int64_t, int64_t*);
bool addChecked(int64_t l, int64_t r, int64_t* result) {
  return __builtin_add_overflow(l, r, result);
}
bool subtractChecked(int64_t l, int64_t r, int64_t* result) {
  return __builtin_sub_overflow(l, r, result);
}
bool multiplyChecked(int64_t l, int64_t r, int64_t* result) {
  return __builtin_mul_overflow(l, r, result);
}

template <Checked checked, typename Real>
Number arithmetic(const Numbers& operands, Real&& real) {
  if (const auto pair = whole(operands)) {
    int64_t result = 0;
    if (checked(pair->first, pair->second, &result)) throw beyond();
    return result;
  }
  return real(toReal(operands[0]), toReal(operands[1]));
}

Number add(const Numbers& operands) {
  return arithmetic<addChecked>(operands, [](double l, double r) { return l + r; });
}
Number subtract(const Numbers& operands) {
  return arithmetic<subtractChecked>(operands, [](double l, double r) { return l - r; });
}
Number multiply(const Numbers& operands) {
  return arithmetic<multiplyChecked>(operands, [](double l, double r) { return l * r; });
}

Number floorDivide(const Numbers& operands) {
  if (const auto pair = whole(operands)) {
    const auto [left, right] = *pair;
    if (right == 0) throw byZero();
    // The one quotient that 64 bits may not hold is a trap of the processor.
    if (right == -1) return subtract({int64_t{0}, left});
    const int64_t quotient = left / right;
    return left % right != 0 && (left < 0) != (right < 0) ? quotient - 1 : quotient;
  }
  if (toReal(operands[1]) == 0) throw byZero();
  return std::floor(toReal(operands[0]) / toReal(operands[1]));
}
Number modulo(const Numbers& operands) {
  const Number quotient = floorDivide(operands);
  return subtract({operands[0], multiply({quotient, operands[1]})});
}
Number divide(const Numbers& operands) {
  if (toReal(operands[1]) == 0) throw byZero();
  return toReal(operands[0]) / toReal(operands[1]);
}
Number power(const Numbers& operands) {
  const auto pair = whole(operands);
  if (!pair || pair->second < 0) return std::pow(toReal(operands[0]), toReal(operands[1]));
  Number result = int64_t{1};
  const bool steady = pair->first >= -1 && pair->first <= 1;
  const int64_t times = steady ? 2 - pair->second % 2 : pair->second;
  for (int64_t i = 0; i < (pair->second == 0 ? 0 : times); ++i)
    result = multiply({result, pair->first});  // ends by overflow, if not before
  return result;
}

template <typename Compare>
Number compared(const Numbers& operands, Compare&& compare) {
  const auto pair = whole(operands);
  const bool holds =
      pair ? compare(pair->first, pair->second) : compare(toReal(operands[0]), toReal(operands[1]));
  return int64_t{holds};
}

template <double (*function)(double)>
Number real(const Numbers& operands) {
  return function(toReal(operands[0]));
}
template <double (*function)(double)>
Number rounded(const Numbers& operands) {
  const auto* number = std::get_if<int64_t>(&operands[0]);
  return number != nullptr ? Number(*number) : wholeOf(function(toReal(operands[0])));
}

bool isTrue(const Number& number) { return toReal(number) != 0; }

constexpr SizeFunction kFunctions[] = {
    {"+", 2, add},
    {"-", 2, subtract},
    {"*", 2, multiply},
    {"//", 2, floorDivide},
    {"%", 2, modulo},
    {"/", 2, divide},
    {"**", 2, power},
    {"negative", 1, [](const Numbers& n) { return subtract({int64_t{0}, n[0]}); }},
    {"real", 1, [](const Numbers& n) { return Number(toReal(n[0])); }},
    {"maximum", 2, [](const Numbers& n) { return toReal(n[0]) >= toReal(n[1]) ? n[0] : n[1]; }},
    {"minimum", 2, [](const Numbers& n) { return toReal(n[0]) <= toReal(n[1]) ? n[0] : n[1]; }},
    {"==", 2, [](const Numbers& n) { return compared(n, [](auto l, auto r) { return l == r; }); }},
    {"!=", 2, [](const Numbers& n) { return compared(n, [](auto l, auto r) { return l != r; }); }},
    {"<", 2, [](const Numbers& n) { return compared(n, [](auto l, auto r) { return l < r; }); }},
    {"<=", 2, [](const Numbers& n) { return compared(n, [](auto l, auto r) { return l <= r; }); }},
    {">", 2, [](const Numbers& n) { return compared(n, [](auto l, auto r) { return l > r; }); }},
    {">=", 2, [](const Numbers& n) { return compared(n, [](auto l, auto r) { return l >= r; }); }},
    {"not", 1, [](const Numbers& n) { return Number(int64_t{!isTrue(n[0])}); }},
    {"and", 2, [](const Numbers& n) { return Number(int64_t{isTrue(n[0]) && isTrue(n[1])}); }},
    {"or", 2, [](const Numbers& n) { return Number(int64_t{isTrue(n[0]) || isTrue(n[1])}); }},
    {"choose", 3, [](const Numbers& n) { return isTrue(n[0]) ? n[1] : n[2]; }},
    {"truncate", 1, rounded<std::trunc>},
    {"floor", 1, rounded<std::floor>},
    {"ceil", 1, rounded<std::ceil>},
    {"round", 1, rounded<std::nearbyint>},
    {"absolute", 1,
     [](const Numbers& n) { return toReal(n[0]) < 0 ? subtract({int64_t{0}, n[0]}) : n[0]; }},
    {"sqrt", 1, real<std::sqrt>},
    {"exp", 1, real<std::exp>},
    {"log", 1, real<std::log>},
    {"log2", 1, real<std::log2>},
    {"cos", 1, real<std::cos>},
    {"sin", 1, real<std::sin>},
    {"tan", 1, real<std::tan>},
    {"cosh", 1, real<std::cosh>},
    {"sinh", 1, real<std::sinh>},
    {"tanh", 1, real<std::tanh>},
    {"acos", 1, real<std::acos>},
    {"asin", 1, real<std::asin>},
    {"atan", 1, real<std::atan>},
};

/// The number in an input without axes.
Number item(const at::Tensor& value) {
  if (value.numel() != 1)
    throw Error("ERR_SHAPE_MISMATCH", "an input that is a number should have one element");
  if (value.is_floating_point()) return value.item<double>();
  return value.item<int64_t>();
}

}  // namespace

const SizeFunction* findSizeFunction(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                   [&](const SizeFunction& each) { return each.name == name; });
  return found == std::end(kFunctions) ? nullptr : found;
}

Size sizeOf(std::string_view function, std::vector<Size> operands) {
  return {Size::Kind::kCall, 0, 0, std::move(operands), findSizeFunction(function)};
}

double toReal(const Number& number) {
  const auto* real = std::get_if<double>(&number);
  return real != nullptr ? *real : static_cast<double>(std::get<int64_t>(number));
}

int64_t toWhole(const Number& number) {
  if (const auto* whole = std::get_if<int64_t>(&number)) return *whole;
  throw Error("ERR_SHAPE_MISMATCH", "the model computes a size that is no whole number");
}

Number evaluate(const Size& size, const std::vector<at::Tensor>& values) {
  const auto value = [&]() -> const at::Tensor& {
    return values[static_cast<size_t>(size.number)];
  };
  switch (size.kind) {
    case Size::Kind::kConstant:
      return size.number;
    case Size::Kind::kReal:
      return size.real;
    case Size::Kind::kAxis:
      return value().size(size.axis);
    case Size::Kind::kItem:
      return item(value());
    case Size::Kind::kCall:
      break;
  }
  Numbers operands;
  operands.reserve(size.operands.size());
  for (const Size& each : size.operands) operands.push_back(evaluate(each, values));
  return size.function->of(operands);
}

}  // namespace tc
