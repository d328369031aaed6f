#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/stack.h>

namespace tc {

/// An ArgumentCheck of operators that put values in places: where a gradient is to flow into the
/// values, no place may be written twice. The last write stays (on several threads any may), while
/// libtorch's backward passes give the place's gradient to every value that was written there.
/// Throws Error ERR_UNSUPPORTED_OP.
void requireSingleWrites(const c10::FunctionSchema& schema, const torch::jit::Stack& arguments);

}  // namespace tc
