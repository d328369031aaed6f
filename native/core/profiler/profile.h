#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tc {

struct ProfilerOptions {
  bool cpu = true;
  bool cuda = false;
  bool recordShapes = false;
  bool profileMemory = false;
  bool withFlops = false;
};

/// All calls of one operator (and input shapes, when these were recorded), or all runs of one
/// kernel. Times in microseconds, memory in bytes.
struct ProfileRow {
  std::string name;
  std::vector<std::vector<int64_t>> inputShapes;
  int64_t count = 0;
  double selfCpuTimeTotal = 0;
  double cpuTimeTotal = 0;
  double selfDeviceTimeTotal = 0;
  double deviceTimeTotal = 0;
  int64_t cpuMemoryUsage = 0;
  int64_t selfCpuMemoryUsage = 0;
  int64_t deviceMemoryUsage = 0;
  int64_t selfDeviceMemoryUsage = 0;
  uint64_t flops = 0;
  bool onDevice = false;
};

struct Profile {
  std::vector<ProfileRow> rows;  ///< in the order of their first event
  double selfCpuTimeTotal = 0;
  double selfDeviceTimeTotal = 0;
  int64_t peakMemory = 0;  ///< highest point of the bytes allocated since the start
  /// Writes a Chrome trace; any number of times. Throws Error ERR_INVALID_ARGUMENT when the file
  /// cannot be written.
  std::function<void(const std::string& path)> save;
};

}  // namespace tc
