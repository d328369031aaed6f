// Compiled for AVX2 and FMA: 16 registers of 32 bytes.
#include "core/kernels/table.h"

#ifdef TC_X86
#define TC_ISA_NAMESPACE avx2
#define TC_VECTOR_BYTES 32
#define TC_ROWS 4
#define TC_VECTORS 3
#define TC_OUTER_ROWS 2
#include "core/kernels/kernels.inc"
#endif
