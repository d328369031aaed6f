#pragma once

#include <memory>

#include "binding/progress.h"
#include "binding/request.h"
#include "core/operators/arguments.h"

namespace tc::js {

/// The numbers, strings, bigints and booleans of a request, whatever they are called.
Arguments scalarsOf(const Fields& fields);

/// These, and its typed arrays (flat), operators and function, which is to be called after each
/// iteration.
struct SolverArguments {
  Arguments values;
  std::shared_ptr<Progress> progress;  ///< reports to that function; null without one
};
SolverArguments solverArguments(const Fields& fields, Memory memory);

}  // namespace tc::js
