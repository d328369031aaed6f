#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/program.h"

namespace tc {

/// Frees a program of the batch size that it was exported with. Exporting with a fixed batch leaves
/// that size as a plain number in the arguments of `view`, `expand`, `zeros` and the like; each is
/// replaced by the size of the first input's first axis.
///
/// Which of the numbers they are is found by running the program on zeros with two batch sizes side
/// by side: the axes whose sizes differ belong to the batch, and a view keeps the place of the
/// batch in the order of the elements. `inputs` have the exported sizes.
///
/// Throws Error ERR_MODEL_LOAD when that is ambiguous or the model cannot run with another batch
/// size.
std::vector<ProgramSpec::Node> freeBatch(const ProgramSpec& spec,
                                         const std::vector<at::Tensor>& inputs,
                                         at::ScalarType precision);

}  // namespace tc
