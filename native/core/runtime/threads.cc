#include "core/runtime/threads.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

#include "core/runtime/cgroup.h"

namespace tc {
namespace {

int affineCores() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

std::atomic<int>& defaultOfProcess() {
  static std::atomic<int> threads = std::min(at::get_num_threads(), availableCores());
  return threads;
}

}  // namespace

int availableCores() {
  static const int cores = std::clamp(coresOfQuotas(), 1, affineCores());
  return cores;
}

int defaultThreads() { return defaultOfProcess(); }

void setDefaultThreads(int threads) {
  defaultOfProcess() = std::clamp(threads, 1, availableCores());
}

int threadsFor(int asked) {
  return asked > 0 ? std::min(asked, availableCores()) : defaultThreads();
}

ThreadScope::ThreadScope(int threads) : before_(at::get_num_threads()) {
  const int wanted = threadsFor(threads);
  if (wanted != before_) at::set_num_threads(wanted);
}

ThreadScope::~ThreadScope() {
  if (at::get_num_threads() != before_) at::set_num_threads(before_);
}

}  // namespace tc
