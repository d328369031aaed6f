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
  bool annotation = false;  ///< a region of the caller's rather than an operator or a kernel
};

/// One call, region or kernel. Times in microseconds, memory in bytes.
struct ProfileEvent {
  std::string name;
  std::vector<std::vector<int64_t>> inputShapes;
  double start = 0;  ///< since the profile began
  double end = 0;
  uint64_t thread = 0;
  int64_t parent = -1;  ///< index of the call that made this one, on the same thread
  double cpuTime = 0;
  double selfCpuTime = 0;
  double deviceTime = 0;
  double selfDeviceTime = 0;
  int64_t cpuMemory = 0;
  int64_t selfCpuMemory = 0;
  int64_t deviceMemory = 0;
  int64_t selfDeviceMemory = 0;
  uint64_t flops = 0;
  uint64_t executedFlops = 0;
  bool onDevice = false;
  bool annotation = false;
  bool async = false;
  /// On a thread that helped another one, whose time is what totals count.
  bool helper = false;
  int64_t parameters = -1;  ///< of a product; −1 elsewhere
  int64_t batch = -1;
  std::string engine;
};

struct Profile {
  std::vector<ProfileRow> rows;      ///< in the order of their first event
  std::vector<ProfileEvent> events;  ///< by start
  double selfCpuTimeTotal = 0;
  double selfDeviceTimeTotal = 0;
  int64_t peakMemory = 0;  ///< highest point of the bytes allocated since the start
  /// Writes a Chrome trace; any number of times. Throws Error ERR_INVALID_ARGUMENT when the file
  /// cannot be written.
  std::function<void(const std::string& path)> save;
};

}  // namespace tc
