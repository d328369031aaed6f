#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

namespace tc {

/// Runs work on native threads within the cores of the process: a piece that asks for t threads
/// starts when t cores are free, in the order of submission. One for the process, shared by all of
/// Node's environments; it is never torn down, so that ending one environment leaves the others
/// alone.
class Executor {
 public:
  static Executor& instance();

  /// `work` must not throw.
  void submit(int threads, std::function<void()> work);

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
    int threads;
    std::function<void()> work;
  };
  struct Worker {
    std::condition_variable wake;
    std::function<void()> work;
    int threads = 0;
    bool busy = false;
  };

  explicit Executor(int cores);
  void start();  // with mutex_ held
  void loop(Worker& worker);
  static thread_local Worker* current_;

  std::mutex mutex_;
  std::deque<Item> queue_;
  std::deque<Worker> workers_;
  int cores_;
  int freeCores_;
};

}  // namespace tc
