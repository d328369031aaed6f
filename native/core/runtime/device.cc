#include "core/runtime/device.h"

#include <c10/util/Exception.h>
#include <torch/version.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#ifdef TC_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>
#endif
#ifndef __linux__
#include <unistd.h>
#endif

#include "core/runtime/cgroup.h"
#include "core/runtime/error.h"
#include "core/runtime/memory.h"

namespace tc {
namespace {

int cudaDeviceCount() {
#ifdef TC_CUDA
  return c10::cuda::device_count();
#else
  return 0;
#endif
}

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

int64_t kernelAvailable() {
#ifdef __linux__
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t kib = 0;
    if (words >> name >> kib && name == "MemAvailable:") return kib * 1024;
  }
  return kUnlimited;
#else
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
#endif
}

std::string readable(int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

}  // namespace

bool cudaCompiled() {
#ifdef TC_CUDA
  return true;
#else
  return false;
#endif
}

c10::Device findDevice(const std::string& name) {
  c10::Device device(c10::kCPU);
  try {
    device = c10::Device(name);
  } catch (const c10::Error&) {
    throw Error("ERR_INVALID_ARGUMENT",
                "device should be 'cpu', 'cuda' or 'cuda:N', got '" + name + "'");
  }
  if (device.is_cpu()) return c10::Device(c10::kCPU);
  if (!device.is_cuda()) {
    throw Error("ERR_INVALID_ARGUMENT",
                "device should be 'cpu', 'cuda' or 'cuda:N', got '" + name + "'");
  }
  if (!cudaCompiled()) {
    throw Error("ERR_DEVICE_UNAVAILABLE",
                "device '" + name +
                    "' asked for, but the addon was built against a CPU build of libtorch; "
                    "rebuild it with TORCH_CURVATURE_VARIANT=cuda");
  }
  const int count = cudaDeviceCount();
  const int index = device.has_index() ? device.index() : 0;
  if (index >= count) {
    throw Error("ERR_DEVICE_UNAVAILABLE", "device '" + name + "' asked for, but this machine has " +
                                              std::to_string(count) + " usable CUDA device(s)");
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

std::vector<std::string> cudaDevices() {
  std::vector<std::string> names;
#ifdef TC_CUDA
  for (int i = 0; i < cudaDeviceCount(); ++i) {
    cudaDeviceProp properties;
    const bool known = cudaGetDeviceProperties(&properties, i) == cudaSuccess;
    names.emplace_back(known ? properties.name : "cuda:" + std::to_string(i));
  }
#endif
  return names;
}

void makeCurrent(c10::Device device) {
#ifdef TC_CUDA
  thread_local c10::DeviceIndex current = -1;
  if (!device.is_cuda() || device.index() == current) return;
  if (cudaSetDevice(device.index()) == cudaSuccess) current = device.index();
#else
  (void)device;
#endif
}

int64_t availableMemory(c10::Device device) {
#ifdef TC_CUDA
  if (device.is_cuda()) {
    const c10::cuda::CUDAGuard guard(device);
    size_t free = 0;
    size_t total = 0;
    return cudaMemGetInfo(&free, &total) == cudaSuccess ? static_cast<int64_t>(free) : kUnlimited;
  }
#endif
  (void)device;
  return std::min({kernelAvailable(), memoryOfLimits(), memoryLeft()});
}

void requireMemory(c10::Device device, int64_t bytes, const std::string& purpose) {
  const int64_t available = availableMemory(device);
  if (bytes >= 0 && bytes <= available) return;
  const std::string needed =
      bytes < 0 ? "more memory than can be counted" : "about " + readable(bytes);
  throw Error("ERR_OUT_OF_MEMORY",
              purpose + " needs " + needed + ", " + readable(available) + " are available");
}

}  // namespace tc
