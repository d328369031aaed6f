// Compiled with OpenMP, where there is one.

#include "core/runtime/threads.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace tc {

void releaseThreads() {
  // Of OpenMP 5.0, which GCC has had since version 9 without saying so.
#if defined(_OPENMP) && (_OPENMP >= 201811 || __GNUC__ >= 9)
  omp_pause_resource_all(omp_pause_soft);
#endif
}

}  // namespace tc
