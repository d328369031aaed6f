#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <cstddef>
#include <cstdint>

#include "drawn_calls.h"

namespace tc::test {

/// How many calls of the operator test/fixtures/calls.txt has, in all of which it takes its
/// arguments (scripts/reference/calls.py writes them).
size_t knownCalls(const c10::OperatorHandle& op);

/// How many of a call's sizes, numbers and flags become others: ones nearby, or some far away.
struct Changes {
  int64_t most = 0;
  bool far = false;
  bool rows = false;  ///< some tensors get rows, where they have an axis of the same size
};

/// One of them, changed, with other numbers in its tensors.
DrawnCall knownCall(const c10::OperatorHandle& op, size_t which, Changes changes, uint64_t seed);

}  // namespace tc::test
