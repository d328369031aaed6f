#pragma once

#include "binding/js.h"
#include "core/program/program.h"

namespace tc::js {

/// The description of a program as JavaScript writes it (`RawProgram` of lib/native.ts). Throws
/// Error ERR_MODEL_LOAD.
ProgramSpec toSpec(const Napi::Object& program);

/// The other way round.
Napi::Object toRawProgram(Napi::Env env, const ProgramSpec& spec);
/// A size as JavaScript writes it (`RawSize`).
Napi::Value toRawSize(Napi::Env env, const ProgramSpec::Size& size);

}  // namespace tc::js
