#pragma once

namespace tc {

/// Intra-op threads that libtorch uses when nothing else is asked for, read once when the library
/// is loaded.
int defaultThreads();

/// Cores that this process may run on.
int availableCores();

/// Ends the OpenMP threads that work for the calling thread; the next parallel region starts them
/// anew. While a process has more of them than cores, those that wait are put to sleep at once, and
/// regions of other threads, however short, have to wake theirs each time.
void releaseThreads();

/// Sets libtorch's intra-op threads of the calling thread; 0 means the default. libtorch's setting
/// does not reach threads that already used it, so every piece of work makes its own scope.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

}  // namespace tc
