#pragma once

#include <cstdint>
#include <string>

namespace tc {

// What the control groups of the process leave it. Looked at are the group that it sees as its root
// (what containers get) and its own, in both versions of the kernel's interface.

/// Bytes until the first limit of memory is reached; the largest number without one.
int64_t memoryOfLimits();

/// Cores' worth of processor time in the smallest quota, rounded; the largest number without one.
/// `root` is where the file systems lie, for tests.
int coresOfQuotas(const std::string& root = "");

}  // namespace tc
