#include "core/runtime/kernels.h"

#include <ATen/Context.h>
#include <ATen/ops/_nnpack_available.h>
#include <c10/util/Logging.h>

#include <cstdlib>
#include <mutex>
#include <string_view>
#include <utility>

namespace tc {
namespace {

/// Float32 is computed as such: libtorch would let cuDNN compute convolutions and recurrent layers
/// in TF32, with three digits. Whoever wants that, for products of matrices too, says so:
/// libtorch's own TORCH_ALLOW_TF32_CUBLAS_OVERRIDE does not count.
void chooseFloat32() {
  const char* value = std::getenv("TORCH_CURVATURE_TF32");
  const bool allowed = value != nullptr && std::string_view(value) == "1";
  at::globalContext().setAllowTF32CuDNN(allowed);
  at::globalContext().setAllowTF32CuBLAS(allowed);
}

constexpr int kErrorsAlone = 2;  ///< a level of c10's log, as of glog, whose names differ

/// Where NNPACK does not know the processor, libtorch tries it for every convolution and writes to
/// stderr each time that it could not.
void chooseConvolutions() {
  const int level = std::exchange(FLAGS_caffe2_log_level, kErrorsAlone);
  if (!at::_nnpack_available()) at::globalContext().setUserEnabledNNPACK(false);
  FLAGS_caffe2_log_level = level;
}

}  // namespace

void chooseKernels() {
  static std::once_flag chosen;
  std::call_once(chosen, [] {
    chooseFloat32();
    chooseConvolutions();
  });
}

}  // namespace tc
