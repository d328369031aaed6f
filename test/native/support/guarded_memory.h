#pragma once

/// Memory of tensors between pages that nobody may touch, to see libtorch's own kernels, which no
/// sanitizer looks into, write or read beyond what they were given.
namespace tc::test {

enum class Guarded {
  kNot,
  kEnds,    ///< memory ends where the page behind begins
  kBegins,  ///< and begins where the page before ends
};

/// Where tensors on the CPU get their memory from now on; what they have stays where it is. A
/// kernel that leaves it ends the process with SIGSEGV, as does one that touches what was freed.
/// Other systems than Linux and macOS have no such memory: nothing changes there.
void guardMemory(Guarded how);

}  // namespace tc::test
