#include "core/runtime/cgroup.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <vector>

namespace tc {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

int64_t readNumber(const std::string& path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? value : kUnlimited;  // also for "max" and for files that are not there
}

/// Folders of the groups of a controller: `memory`, `cpu`.
std::vector<std::string> groups(const std::string& root, const std::string& controller) {
  const std::string mount = root + "/sys/fs/cgroup";
  std::vector<std::string> folders{mount, mount + "/" + controller};
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // ID:CONTROLLERS:PATH, with no controllers in version 2
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      folders.push_back(mount + path);
    } else if (controllers.find("," + controller + ",") != std::string::npos) {
      folders.push_back(mount + "/" + controller + path);
    }
  }
  return folders;
}

/// Cores' worth; 0 without a quota.
double quota(const std::string& folder) {
  double time = 0;
  double period = 0;
  std::ifstream together(folder + "/cpu.max");
  if (together >> time >> period && time > 0 && period > 0) return time / period;
  std::ifstream quotaFile(folder + "/cpu.cfs_quota_us");
  std::ifstream periodFile(folder + "/cpu.cfs_period_us");
  if (quotaFile >> time && periodFile >> period && time > 0 && period > 0) return time / period;
  return 0;
}

}  // namespace

int64_t memoryOfLimits() {
  int64_t available = kUnlimited;
  const auto consider = [&](const std::string& limitFile, const std::string& usageFile) {
    const int64_t limit = readNumber(limitFile);
    const int64_t usage = readNumber(usageFile);
    if (limit != kUnlimited && usage != kUnlimited)
      available = std::min(available, std::max<int64_t>(0, limit - usage));
  };
  for (const std::string& folder : groups("", "memory")) {
    consider(folder + "/memory.max", folder + "/memory.current");
    consider(folder + "/memory.limit_in_bytes", folder + "/memory.usage_in_bytes");
  }
  return available;
}

int coresOfQuotas(const std::string& root) {
  double cores = std::numeric_limits<int>::max();
  for (const std::string& folder : groups(root, "cpu")) {
    if (const double found = quota(folder); found > 0)
      cores = std::min(cores, std::max(1.0, std::round(found)));
  }
  return static_cast<int>(cores);
}

}  // namespace tc
