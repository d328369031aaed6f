#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <string>

#include "core/program/program.h"

namespace tc {

/// The operator of a name with optional overload, `aten::add.Tensor`. Throws Error
/// ERR_UNSUPPORTED_OP when there is none.
c10::OperatorHandle findOperator(const std::string& target);

/// One result that is a list of tensors, as of `split`.
bool returnsList(const c10::FunctionSchema& schema);

/// A tensor out of nothing, as `zeros` and `arange`: it takes no tensor whose device it follows.
bool makesTensor(const c10::FunctionSchema& schema);

/// Whether its results never share memory with its arguments.
bool returnsFreshMemory(const c10::OperatorHandle& op);

/// Throws Error ERR_UNSUPPORTED_OP for an operator that draws random numbers.
[[noreturn]] void refuseRandom(const std::string& name);

/// Throws Error ERR_UNSUPPORTED_OP for a call whose result is not a function of its arguments
/// alone: random numbers (dropout while training), uninitialized memory, normalization by the
/// statistics of the batch, which also changes its running averages, and gradients that libtorch
/// scales by how often an index is in the batch.
void refuseStochastic(const c10::OperatorHandle& op, const std::vector<Program::Slot>& slots);

}  // namespace tc
