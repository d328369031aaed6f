#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/stack.h>

namespace tc {

/// For a call of an LSTM, GRU or plain recurrent layer, or of a cell of one: throws Error
/// ERR_SHAPE_MISMATCH where the states or the weights do not have the sizes that follow from the
/// input and from one another. libtorch does not look, and reads past the end of the smaller. Does
/// nothing for other operators.
void checkRecurrent(const c10::FunctionSchema& schema, const torch::jit::Stack& arguments);

}  // namespace tc
