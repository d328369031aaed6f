#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <string>

#include "core/runtime/table.h"

namespace tc {

/// The row for this overload of an operator (`aten::max.dim`), else that for all of its overloads
/// (`aten::max`), else nullptr.
template <class Row>
const Row* ruleOf(const Table<Row>& rules, const c10::OperatorHandle& op) {
  const std::string& name = op.schema().name();
  const Row* exact = rules.find(name + "." + op.schema().overload_name());
  return exact != nullptr ? exact : rules.find(name);
}

}  // namespace tc
