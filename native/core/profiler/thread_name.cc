#include "core/profiler/thread_name.h"

#include <atomic>
#include <string>

#ifdef __linux__
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tc::profiling {

ThisThread thisThread() {
#ifdef __linux__
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  for (char& letter : name) {  // such as would have to be escaped where they are written
    if (letter == '"' || letter == '\\' ||
        (letter != 0 && static_cast<unsigned char>(letter) < 0x20))
      letter = '_';
  }
  return {static_cast<int64_t>(syscall(SYS_gettid)), name};
#else
  return {};
#endif
}

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
