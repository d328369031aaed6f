#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "core/runtime/cgroup.h"

#include <doctest/doctest.h>

using namespace tc;

namespace {

/// A folder with files of its own, as control groups show themselves.
class Files {
 public:
  Files() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cgroup-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~Files() { std::filesystem::remove_all(root_); }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  void write(const std::string& path, const std::string& content) const {
    const auto file = std::filesystem::path(root_ + path);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

constexpr int kNone = std::numeric_limits<int>::max();

}  // namespace

TEST_CASE("quotas of processor time: none") {
  const Files files;
  CHECK(coresOfQuotas(files.root()) == kNone);
  files.write("/sys/fs/cgroup/cpu.max", "max 100000\n");
  CHECK(coresOfQuotas(files.root()) == kNone);
  files.write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  files.write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  CHECK(coresOfQuotas(files.root()) == kNone);
}

TEST_CASE("quotas of processor time: version 2, in a container and in a group of its own") {
  const Files files;
  files.write("/sys/fs/cgroup/cpu.max", "350000 100000\n");
  CHECK(coresOfQuotas(files.root()) == 4);
  files.write("/proc/self/cgroup", "0::/system.slice/server.service\n");
  files.write("/sys/fs/cgroup/system.slice/server.service/cpu.max", "150000 100000\n");
  CHECK(coresOfQuotas(files.root()) == 2);
  files.write("/sys/fs/cgroup/system.slice/server.service/cpu.max", "20000 100000\n");
  CHECK(coresOfQuotas(files.root()) == 1);
}

TEST_CASE("quotas of processor time: version 1") {
  const Files files;
  files.write("/proc/self/cgroup", "12:memory:/docker/a\n4:cpu,cpuacct:/docker/b\n");
  files.write("/sys/fs/cgroup/cpu/docker/b/cpu.cfs_quota_us", "300000\n");
  files.write("/sys/fs/cgroup/cpu/docker/b/cpu.cfs_period_us", "100000\n");
  CHECK(coresOfQuotas(files.root()) == 3);
}
