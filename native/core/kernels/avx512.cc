// Compiled for AVX-512 (F, DQ, BW, VL): 32 registers of 64 bytes.
#include "core/kernels/table.h"

#ifdef TC_X86
#define TC_ISA_NAMESPACE avx512
#define TC_VECTOR_BYTES 64
#define TC_ROWS 6
#define TC_VECTORS 4
#define TC_OUTER_ROWS 6
#include "core/kernels/kernels.inc"
#endif
