#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/linearization/batch_axes.h"
#include "core/program/program.h"

namespace tc::test {

/// The operators that models may consist of, but for those that draw numbers.
std::vector<c10::OperatorHandle> operatorsOfModels();

/// A call with arguments drawn from the operator's schema, small and often ones that it takes: a
/// node, the values before it, and where each has rows, kRows of them, or that it has none.
struct DrawnCall {
  static constexpr int64_t kRows = 7;

  Program::Node node;
  std::vector<RowAxis> places;
  std::vector<at::Tensor> values;
  std::string text;  ///< for messages
};

/// A call of the operator without its arguments.
Program::Node emptyNode(const c10::OperatorHandle& op);

/// The same for the same seed; nothing where an argument is of a type that is not drawn.
std::optional<DrawnCall> drawCall(const c10::OperatorHandle& op, uint64_t seed);

/// Whether two tensors are equal but for rounding; what is no number is equal to itself.
bool sameNumbers(const at::Tensor& a, const at::Tensor& b);

}  // namespace tc::test
