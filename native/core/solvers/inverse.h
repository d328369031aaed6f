#pragma once

#include "core/operators/arguments.h"
#include "core/runtime/table.h"

namespace tc {

/// A way to make A⁻¹ of a square A as an operator, with options of its own. Throws Error
/// ERR_SHAPE_MISMATCH, ERR_INVALID_ARGUMENT.
using InverseMethod = OperatorPtr (*)(OperatorPtr a, const Arguments& given);

/// The ways by name: each in the file of its name, which adds its row.
Table<InverseMethod>& inverseMethods();

}  // namespace tc
