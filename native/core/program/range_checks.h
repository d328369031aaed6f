#pragma once

#include "core/program/argument_checks.h"

namespace tc {

/// The checks of numbers that say where a call reads or writes, and of others that libtorch's
/// kernels for the CPU refuse: those for a GPU end all of the process's work there instead. Made on
/// the CPU, too, so that the error is the same. Throws Error ERR_INVALID_ARGUMENT. Null where an
/// operator takes no such numbers.
ArgumentCheck findRangeCheck(const c10::OperatorHandle& op);

}  // namespace tc
