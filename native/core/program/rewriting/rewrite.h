#pragma once

#include <vector>

#include "core/program/program.h"

namespace tc {

/// The nodes with operators whose derivatives libtorch lacks, or gets wrong, or that take indices
/// on trust, replaced by others that compute the same (seen with libtorch 2.13): those that the
/// files of this folder have rules for, and say why.
///
/// Values of nodes are numbered from `firstOutput`; `output` follows the renumbering.
std::vector<ProgramSpec::Node> rewritten(const std::vector<ProgramSpec::Node>& nodes,
                                         int64_t firstOutput, int64_t& output);

}  // namespace tc
