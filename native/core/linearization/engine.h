#pragma once

#include <string>

#include "core/linearization/linearization.h"

namespace tc {

/// The engine called `auto`, `fused` or `autograd`. Throws Error ERR_INVALID_ARGUMENT.
Engine findEngine(const std::string& name);

/// The engine that runs products at `point`, kFused or kAutograd, where `wanted` is asked for.
/// Throws Error ERR_UNSUPPORTED_OP where that is the fused engine and it cannot, which says why.
Engine chooseEngine(const Point& point, Engine wanted);

}  // namespace tc
