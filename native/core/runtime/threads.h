#pragma once

namespace tc {

/// Cores that this process may use: those it may run on, within the quotas of processor time of the
/// control groups that it is in (rounded, at least 1). Read once.
int availableCores();

/// Intra-op threads of work that asks for none: libtorch's own default when the library is loaded
/// (which OMP_NUM_THREADS sets), or what was set since. At most `availableCores()`.
int defaultThreads();
/// Sets the default for work that begins from now on.
void setDefaultThreads(int threads);

/// The threads that work gets which asks for so many; 0 asks for the default. More threads than
/// cores would only wait for one another.
int threadsFor(int asked);

/// Ends the OpenMP threads that work for the calling thread; the next parallel region starts them
/// anew. While a process has more of them than cores, those that wait are put to sleep at once, and
/// regions of other threads, however short, have to wake theirs each time.
void releaseThreads();

/// Sets libtorch's intra-op threads of the calling thread to `threadsFor(threads)`. libtorch's
/// setting does not reach threads that already used it, so every piece of work makes its own scope.
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
