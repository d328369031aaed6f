#include <cstdlib>
#include <cstring>

#include "core/kernels/kernels.h"
#include "core/kernels/table.h"

namespace tc::fused {
namespace {

bool available(Isa isa) {
#ifdef TC_X86
  switch (isa) {
    case Isa::kBaseline:
      return true;
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  }
#endif
  return isa == Isa::kBaseline;
}

Isa choose() {
  const char* const wanted = std::getenv("TORCH_CURVATURE_ISA");
  if (wanted != nullptr) {
    if (std::strcmp(wanted, "baseline") == 0) return Isa::kBaseline;
    if (std::strcmp(wanted, "avx2") == 0 && available(Isa::kAvx2)) return Isa::kAvx2;
  }
  if (available(Isa::kAvx512)) return Isa::kAvx512;
  return available(Isa::kAvx2) ? Isa::kAvx2 : Isa::kBaseline;
}

struct Selection {
  Isa isa;
  const Kernels<float>* single;
  const Kernels<double>* twofold;

  explicit Selection(Isa chosen)
      : isa(chosen), single(&baseline::floatKernels()), twofold(&baseline::doubleKernels()) {
#ifdef TC_X86
    if (isa == Isa::kAvx2) {
      single = &avx2::floatKernels();
      twofold = &avx2::doubleKernels();
    } else if (isa == Isa::kAvx512) {
      single = &avx512::floatKernels();
      twofold = &avx512::doubleKernels();
    }
#endif
  }
};

Selection& selection() {
  static Selection instance(choose());
  return instance;
}

}  // namespace

Isa activeIsa() { return selection().isa; }

bool forceIsa(Isa isa) {
  if (!available(isa)) return false;
  selection() = Selection(isa);
  return true;
}

void forceKernels(const Kernels<float>& single, const Kernels<double>& twofold) {
  selection().single = &single;
  selection().twofold = &twofold;
}

template <>
const Kernels<float>& kernels<float>() {
  return *selection().single;
}

template <>
const Kernels<double>& kernels<double>() {
  return *selection().twofold;
}

}  // namespace tc::fused
