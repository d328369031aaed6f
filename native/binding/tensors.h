#pragma once

#include "binding/js.h"

namespace tc::js {

/// Exports what keeps data in place between calls.
void addTensors(Napi::Env env, Napi::Object exports);

}  // namespace tc::js
