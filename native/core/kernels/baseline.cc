// Compiled for what every processor of the architecture has: registers of 16 bytes, at least 16 of
// them, fused multiply-add or not.
#define TC_ISA_NAMESPACE baseline
#define TC_VECTOR_BYTES 16
#define TC_ROWS 4
#define TC_VECTORS 2
#define TC_OUTER_ROWS 2
#include "core/kernels/kernels.inc"
