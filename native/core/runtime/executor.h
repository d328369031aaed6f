#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <list>
#include <mutex>
#include <optional>

namespace tc {

/// Runs work on native threads within the cores of the process: a piece that asks for t threads
/// starts when t cores are free, in the order of submission. One for the process, shared by all of
/// Node's environments; it is never torn down, so that ending one environment leaves the others
/// alone. Threads without work end after some seconds.
class Executor {
 public:
  static constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

  struct Limits {
    int64_t concurrency = kUnlimited;  ///< pieces that run at once, beside what the cores allow
    int64_t maxQueue = kUnlimited;     ///< pieces that may wait
  };
  struct Counters {
    int64_t running = 0;
    int64_t queued = 0;
    int64_t idleThreads = 0;
  };
  /// A piece of work in the order of submission.
  using Ticket = uint64_t;

  static Executor& instance();

  /// `work` must not throw. Throws Error ERR_BUSY where it would have to wait behind as many others
  /// as may.
  Ticket submit(int threads, std::function<void()> work);
  /// Throws the Error of `submit`, before the work for one is prepared.
  void requireRoom();
  /// Takes work that has not begun out of the queue; false where it has.
  bool withdraw(Ticket ticket);

  /// Work that runs goes on, work that waits stays, whatever the new limits are.
  void setLimits(const Limits& limits);
  Limits limits();
  Counters counters();
  /// Says that the work of the calling thread has its result: it no longer counts as running,
  /// though the thread still hands the result over. Elsewhere it does nothing.
  static void finish();

 private:
  struct Worker;

 public:
  /// While one exists on a thread of the executor, the cores of its work are free for others: for
  /// work that waits for something the executor may have to compute. Elsewhere it does nothing.
  class Waiting {
   public:
    Waiting();
    ~Waiting();
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Worker* worker_;
  };

 private:
  struct Item {
    Ticket ticket;
    int threads;
    std::function<void()> work;
  };
  struct Worker {
    std::condition_variable wake;
    std::function<void()> work;
    int threads = 0;
    bool busy = false;
    bool finished = false;  ///< the work has its result
  };

  /// What there is once the threads whose work has its result are free, as who has that result may
  /// take for granted: what waits then is more than fits.
  struct Room {
    int64_t active;
    int freeCores;
    int64_t waiting;
  };

  explicit Executor(int cores);
  void loop(std::list<Worker>::iterator worker);
  // With mutex_ held:
  void start();
  bool fits(int threads, int64_t active, int freeCores) const;
  Room room() const;
  void requireRoom(int threads) const;
  static thread_local Worker* current_;

  std::mutex mutex_;
  Limits limits_;
  std::deque<Item> queue_;  // by ascending tickets
  std::list<Worker> workers_;
  Ticket last_ = 0;
  int64_t active_ = 0;  // pieces that run and do not wait
  int cores_;
  int freeCores_;
};

}  // namespace tc
