// Compiled with OpenMP, on which libtorch's threads are built: ATen/Parallel.h runs everything on
// the calling thread in a file that is not. Compilers other than GCC, whose own OpenMP is not the
// library that libtorch brings, call that library themselves (TC_LIBGOMP).
#include "core/runtime/parallel.h"

#include <ATen/Parallel.h>

#include "core/profiler/stage.h"

#if defined(_OPENMP) && !defined(TC_LIBGOMP)
#include <omp.h>
#endif

#ifdef TC_LIBGOMP
#include <exception>
#include <mutex>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

extern "C" {
// What GCC makes of `#pragma omp parallel num_threads(n)`; part of libgomp's stable interface.
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
int omp_get_thread_num();
int omp_get_num_threads();
void omp_set_num_threads(int threads);
}
#endif

namespace tc {
namespace {

/// In a region, until it ends: whoever asks finds one thread. oneDNN plans for as many threads as
/// there may be outside, of which each then waits for the others, for ever where they are not.
void allowNoMoreThreads() {
#if defined(_OPENMP) || defined(TC_LIBGOMP)
  if (!at::in_parallel_region()) return;
  at::get_num_threads();  // libtorch sets its own number when a thread first asks for it
  omp_set_num_threads(1);
#endif
}

#ifdef TC_LIBGOMP

// libgomp is not instrumented, so ThreadSanitizer is told what it does: threads of a region begin
// after what came before it, and what comes after it begins after they have ended.
#ifdef __SANITIZE_THREAD__
void handOver(void* region) { __tsan_release(region); }
void takeOver(void* region) { __tsan_acquire(region); }
#else
void handOver(void*) {}
void takeOver(void*) {}
#endif

struct Region {
  int64_t workers;
  const std::function<void(int64_t)>& body;
  std::mutex mutex;
  std::exception_ptr failure;

  static void enter(void* data) {
    takeOver(data);
    auto& region = *static_cast<Region*>(data);
    try {
      allowNoMoreThreads();
      // There may be fewer threads than were asked for.
      const int threads = omp_get_num_threads();
      for (int64_t worker = omp_get_thread_num(); worker < region.workers; worker += threads)
        region.body(worker);
    } catch (...) {
      const std::lock_guard lock(region.mutex);
      region.failure = std::current_exception();
    }
    handOver(data);
  }
};

void runOnThreads(int64_t workers, const std::function<void(int64_t)>& body) {
  if (workers <= 1 || at::in_parallel_region()) {
    for (int64_t worker = 0; worker < workers; ++worker) body(worker);
    return;
  }
  Region region{workers, body, {}, {}};
  handOver(&region);
  GOMP_parallel(Region::enter, &region, static_cast<unsigned>(workers), 0);
  takeOver(&region);
  if (region.failure) std::rethrow_exception(region.failure);
}
#else
void runOnThreads(int64_t workers, const std::function<void(int64_t)>& body) {
  at::parallel_for(0, workers, 1, [&](int64_t begin, int64_t end) {
    allowNoMoreThreads();
    for (int64_t worker = begin; worker < end; ++worker) body(worker);
  });
}
#endif

}  // namespace

void forkJoin(int64_t workers, const std::function<void(int64_t)>& body) {
  if (workers > 1) {
    const profiling::Helpers helpers;
    if (helpers.recorded()) {
      return runOnThreads(workers, [&](int64_t worker) {
        const profiling::Helpers::Scope scope(helpers);
        body(worker);
      });
    }
  }
  runOnThreads(workers, body);
}

}  // namespace tc
