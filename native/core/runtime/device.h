#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tc {

/// Parses `cpu`, `cuda`, `cuda:N` and makes sure that the device is there.
/// Throws Error ERR_INVALID_ARGUMENT or ERR_DEVICE_UNAVAILABLE.
c10::Device findDevice(const std::string& name);

/// Names of the usable CUDA devices, in order; empty without one.
std::vector<std::string> cudaDevices();

/// Whether the addon was compiled against a CUDA build of libtorch.
bool cudaCompiled();

/// Makes a GPU the one that this thread works on. libtorch leaves that to the thread's first
/// kernel, and warns where it is cuBLAS's. Does nothing for the CPU.
void makeCurrent(c10::Device device);

/// Bytes that can still be allocated on the device. On the CPU: what the kernel says is available,
/// within the limits of the control groups that the process is in and that of the process
/// (`setMemoryLimit`).
int64_t availableMemory(c10::Device device);

/// Throws Error ERR_OUT_OF_MEMORY when `bytes` (negative: more than can be counted) do not fit on
/// the device. `purpose` completes the sentence "… needs about 3.1 GiB".
void requireMemory(c10::Device device, int64_t bytes, const std::string& purpose);

}  // namespace tc
