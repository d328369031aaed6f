#pragma once

#include <vector>

#include "core/program/program.h"

namespace tc {

/// The nodes of `spec` without changes in place: an operator that changes its first argument
/// (`aten::relu_`) becomes the one that returns a new tensor, and what shares memory with it is
/// made anew from there where it is read later, through chains of views: as PyTorch's
/// functionalization. Memory that nothing has written to (`aten::empty`) is NaN until something
/// does. `output` is the number of the result, in the nodes as they were and as they are.
///
/// Inputs are changed for the run alone. Derivatives do not follow changes through `detach` and
/// where they are switched off, as in PyTorch. A constant may change where nothing reads what it
/// was before. Throws Error ERR_UNSUPPORTED_OP for other changes of constants, of what may or may
/// not share memory with what is read later, and of views whose elements cannot be put back.
std::vector<ProgramSpec::Node> functional(const ProgramSpec& spec, int64_t& output);

}  // namespace tc
