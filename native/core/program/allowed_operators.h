#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <span>
#include <string_view>

namespace tc {

/// Operators of one kind that a model may consist of, and why they may.
struct OperatorFamily {
  std::string_view reason;
  std::string_view names;  ///< each after a space, without `aten::`; for every overload
};

/// The operators that models may consist of: functions of their arguments alone, that touch no
/// file, no global state and no memory but that of their arguments and results. What is not listed
/// is refused, as libtorch registers operators that read and write files, reinterpret memory or
/// take indices on trust.
std::span<const OperatorFamily> allowedOperators();

/// Whether a model may have this operator, or this overload of one.
bool isAllowed(const c10::OperatorHandle& op);

/// Throws Error ERR_UNSUPPORTED_OP for one that it may not.
void requireAllowed(const c10::OperatorHandle& op);

}  // namespace tc
