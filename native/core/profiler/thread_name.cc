#include "core/profiler/thread_name.h"

#include <atomic>
#include <string>

#ifdef __linux__
#include <pthread.h>
#endif

namespace tc::profiling {

void nameThisThread(const char* kind) {
  thread_local bool named = false;
  if (named) return;
  named = true;
#ifdef __linux__
  static std::atomic<int> threads = 0;
  const std::string name = std::string(kind) + "-" + std::to_string(++threads);
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
#else
  (void)kind;
#endif
}

}  // namespace tc::profiling
