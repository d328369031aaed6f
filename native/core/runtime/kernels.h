#pragma once

namespace tc {

/// Settles, once for the process, which of libtorch's kernels are used where it has several.
/// `TORCH_CURVATURE_TF32=1` allows TF32 on GPUs.
void chooseKernels();

}  // namespace tc
