#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include "core/runtime/table.h"

namespace tc {

/// Puts other arguments of the same meaning in the place of some, in the order of the operator's
/// schema: ones that libtorch's rule for rows (vmap) of that operator has right as well.
using ArgumentPreparation = void (*)(torch::jit::Stack& arguments);

/// Those that are needed, by the operator's name, for every overload.
Table<ArgumentPreparation>& argumentPreparations();

/// That of an operator; null for the many that need none.
ArgumentPreparation findArgumentPreparation(const c10::OperatorHandle& op);

}  // namespace tc
