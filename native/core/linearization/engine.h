#pragma once

#include <string>

#include "core/linearization/linearization.h"

namespace tc {

/// The engine called `auto`, `fused` or `autograd`. Throws Error ERR_INVALID_ARGUMENT.
Engine findEngine(const std::string& name);

/// Throws Error ERR_UNSUPPORTED_OP that says why the fused engine cannot run the point.
[[noreturn]] void refuseFused(const Point& point);

}  // namespace tc
