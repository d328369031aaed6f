#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string>

#include "core/program/program.h"

namespace tc {

/// What gives the result that an operator writes to its first argument.
struct PureForm {
  std::string target;        ///< `aten::add.Tensor` of `aten::add_.Tensor`
  bool overwrites = false;   ///< the result does not depend on what was there
  bool changesType = false;  ///< the result is of another type than what is written to
  bool idempotent = false;   ///< a second time changes nothing more
};

/// The pure form of an operator that changes its first argument in place, where there is one.
std::optional<PureForm> pureForm(const std::string& target, const c10::FunctionSchema& written);

/// For a node that makes a tensor without writing to it (`aten::empty`): the one that fills it with
/// NaN, or with the number furthest from zero where there is none.
std::optional<ProgramSpec::Node> filledWithNothing(const ProgramSpec::Node& node);

/// Whether derivatives may pass from what the operator is given to its result.
bool hasDerivatives(const std::string& target);

}  // namespace tc
