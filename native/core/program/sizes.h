#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "core/program/program.h"

namespace tc {

/// What arithmetic on sizes gives, with Python's types: `n // 2` is whole, `n / 2` is not.
using Number = std::variant<int64_t, double>;

/// A function of numbers, as model files apply them to sizes.
struct SizeFunction {
  std::string_view name;
  size_t operands;
  Number (*of)(const std::vector<Number>& operands);
};

/// The function of this name (`sqrt`, `/`, `**`), or nullptr.
const SizeFunction* findSizeFunction(std::string_view name);

/// The function of this name, which exists, of these sizes.
ProgramSpec::Size sizeOf(std::string_view function, std::vector<ProgramSpec::Size> operands);

/// What a size is for these values of the program. Throws Error ERR_SHAPE_MISMATCH where there is
/// no such number: a division by zero, more than 64 bits.
Number evaluate(const ProgramSpec::Size& size, const std::vector<at::Tensor>& values);

double toReal(const Number& number);

/// Throws Error ERR_SHAPE_MISMATCH for a number that is not whole.
int64_t toWhole(const Number& number);

}  // namespace tc
