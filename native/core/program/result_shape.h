#pragma once

#include "core/program/program.h"

namespace tc {

/// What the result of a program is like where its inputs are of the shapes that they are described
/// with: found by running it twice without data, with other numbers for what varies. A size that is
/// neither constant nor that of an input is named `any`; `[batch, ...]` where the shapes of the
/// inputs do not tell, or an operator cannot do without data.
ProgramSpec::Port resultShape(const Program& program);

}  // namespace tc
