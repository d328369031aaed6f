#pragma once

#include <string>

#include "core/linearization/linearization.h"

namespace tc {

/// The engine called `auto`, `fused` or `autograd`. Throws Error ERR_INVALID_ARGUMENT.
Engine findEngine(const std::string& name);

}  // namespace tc
