#pragma once

#include <vector>

#include "core/program/program.h"

namespace tc {

/// The nodes with every operator that changes its first argument in place (`aten::relu_`) replaced
/// by the one that returns a new tensor, where that gives the same results: the changed value was
/// made by an earlier node, and no other value that may share its memory is read later. Later
/// readers of the changed value read the new one. Values of nodes are numbered from `firstOutput`;
/// `output` follows the renaming. Throws Error ERR_UNSUPPORTED_OP for a change that other values
/// could see.
std::vector<ProgramSpec::Node> functional(const std::vector<ProgramSpec::Node>& nodes,
                                          int64_t firstOutput, int64_t& output);

}  // namespace tc
