#pragma once

#include "core/operators/linear_operator.h"

namespace tc {

/// Refuses a square operator that is seen not to be symmetric: ⟨u, A v⟩ and ⟨v, A u⟩ of two random
/// vectors differ by more than rounding. Two products, none for an operator that is symmetric by
/// construction or by its maker's word. Throws Error ERR_INVALID_ARGUMENT.
void requireSymmetric(const LinearOperator& a, const char* purpose, const StopToken& stop);

}  // namespace tc
