#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include "core/runtime/table.h"

namespace tc {

/// Looks at the arguments of a call, in the order of its schema, for what libtorch takes on trust:
/// its kernels would read past the end of a tensor, divide by zero, never end, or have a wrong
/// gradient. Throws Error ERR_SHAPE_MISMATCH, or ERR_UNSUPPORTED_OP for the last.
using ArgumentCheck = void (*)(const c10::FunctionSchema& schema,
                               const torch::jit::Stack& arguments);

/// The checks by the operator's name, for every overload; each kind has a file, which adds its
/// rows.
Table<ArgumentCheck>& argumentChecks();

/// The check that an operator needs; null for the many that check for themselves.
ArgumentCheck findArgumentCheck(const c10::OperatorHandle& op);

}  // namespace tc
