#include "core/kernels/processor.h"

#include <cstring>

#include "core/kernels/kernels.h"
#include "core/kernels/table.h"

#ifdef TC_X86
#include <cpuid.h>
#endif

namespace tc::fused {
namespace {

bool detect() {
#ifdef TC_X86
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) == 0) return false;
  char vendor[13] = {};
  std::memcpy(vendor, &ebx, 4);
  std::memcpy(vendor + 4, &edx, 4);
  std::memcpy(vendor + 8, &ecx, 4);
  if (std::strcmp(vendor, "AuthenticAMD") != 0) return false;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return false;
  const unsigned base = eax >> 8 & 0xf;
  const unsigned family = base == 0xf ? base + (eax >> 20 & 0xff) : base;
  constexpr unsigned kZen5 = 26;
  return family >= kZen5 && activeIsa() == Isa::kAvx512;
#else
  return false;
#endif
}

bool& wideAmd() {
  static bool wide = detect();
  return wide;
}

}  // namespace

bool isWideAmd() { return wideAmd(); }

void forceWideAmd(bool wide) { wideAmd() = wide; }

}  // namespace tc::fused
