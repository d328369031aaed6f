#pragma once

#include "binding/js.h"
#include "core/program/program.h"

namespace tc::js {

/// The description of a program as JavaScript writes it (`RawProgram` of lib/addon/program.ts), but
/// for its nodes. Throws Error ERR_MODEL_LOAD.
ProgramSpec toSpec(const Napi::Object& program);

/// Adds nodes (a list of `RawNode`) to those that are there. Throws Error ERR_MODEL_LOAD.
void appendNodes(ProgramSpec& spec, const Napi::Value& nodes);

}  // namespace tc::js
