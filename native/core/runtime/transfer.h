#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace tc {

/// The tensor on a device: itself where it is there already. Numbers of the CPU go to a GPU by way
/// of page-locked memory, which its copy engine reads while the next ones are staged.
at::Tensor toDevice(const at::Tensor& tensor, c10::Device device);

/// The tensor on the CPU, finished. What comes from a GPU may lie in page-locked memory, of which
/// there is little: it is for a result that is copied on, not to be kept.
at::Tensor toHost(const at::Tensor& tensor);

}  // namespace tc
