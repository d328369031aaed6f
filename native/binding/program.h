#pragma once

#include <memory>

#include "binding/convert.h"
#include "core/program/point.h"
#include "core/program/program.h"

namespace tc::js {

/// What JavaScript holds of a program.
struct ProgramHandle {
  static constexpr napi_type_tag kTypeTag = {0x3b8e2f7719c44a6d, 0xb1d95c02e6f84702};
  std::shared_ptr<const Program> program;
};

/// What JavaScript knows of a program: `{ handle, parameters, inputs, outputs, result, batch }`.
Napi::Object programRecord(Napi::Env env, std::shared_ptr<const Program> program);

}  // namespace tc::js
