#pragma once

#include "core/kernels/kernels.h"

#if defined(__x86_64__)
#define TC_X86 1
#endif

// The tables of each instruction set, for isa.cc to choose from.
namespace tc::fused {

namespace baseline {
const Kernels<float>& floatKernels();
const Kernels<double>& doubleKernels();
}  // namespace baseline

#ifdef TC_X86
namespace avx2 {
const Kernels<float>& floatKernels();
const Kernels<double>& doubleKernels();
}  // namespace avx2

namespace avx512 {
const Kernels<float>& floatKernels();
const Kernels<double>& doubleKernels();
}  // namespace avx512
#endif

}  // namespace tc::fused
