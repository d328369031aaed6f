#include "core/runtime/executor.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "core/runtime/error.h"
#include "core/runtime/threads.h"

namespace tc {

namespace {

/// How long an idle worker keeps its OpenMP threads for the next piece of work, and then itself.
constexpr std::chrono::milliseconds kKeepThreads(50);
constexpr std::chrono::seconds kKeepWorker(3);

}  // namespace

thread_local Executor::Worker* Executor::current_ = nullptr;

Executor::Waiting::Waiting() : worker_(current_) {
  if (worker_ == nullptr) return;
  Executor& executor = instance();
  const std::lock_guard lock(executor.mutex_);
  executor.freeCores_ += worker_->threads;
  --executor.active_;
  executor.start();
}

Executor::Waiting::~Waiting() {
  if (worker_ == nullptr) return;
  Executor& executor = instance();
  const std::lock_guard lock(executor.mutex_);
  // Beyond the limits while what was started meanwhile still runs.
  executor.freeCores_ -= worker_->threads;
  ++executor.active_;
}

Executor& Executor::instance() {
  static auto* executor = new Executor(availableCores());
  return *executor;
}

Executor::Executor(int cores) : cores_(cores), freeCores_(cores) {}

bool Executor::fits(int threads, int64_t active, int freeCores) const {
  return active < limits_.concurrency && threads <= freeCores;
}

Executor::Room Executor::room() const {
  Room room{active_, freeCores_, static_cast<int64_t>(queue_.size())};
  for (const Worker& worker : workers_) {
    if (!worker.busy || !worker.finished) continue;
    --room.active;
    room.freeCores += worker.threads;
  }
  for (const Item& item : queue_) {
    if (!fits(item.threads, room.active, room.freeCores)) break;
    ++room.active;
    room.freeCores -= item.threads;
    --room.waiting;
  }
  return room;
}

void Executor::requireRoom(int threads) const {
  const auto [active, freeCores, waiting] = room();
  if (waiting < limits_.maxQueue || (waiting == 0 && fits(threads, active, freeCores))) return;
  throw Error("ERR_BUSY", std::to_string(active) + " operations run and " +
                              std::to_string(waiting) + " wait; at most " +
                              std::to_string(limits_.maxQueue) +
                              " may wait (the option maxQueue of configure)");
}

void Executor::requireRoom() {
  const std::lock_guard lock(mutex_);
  requireRoom(1);
}

Executor::Ticket Executor::submit(int threads, std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  threads = std::clamp(threads, 1, cores_);
  requireRoom(threads);
  queue_.push_back({++last_, threads, std::move(work)});
  start();
  return last_;
}

bool Executor::withdraw(Ticket ticket) {
  std::function<void()> work;  // outlives the lock: what it holds may be large
  const std::lock_guard lock(mutex_);
  const auto found = std::lower_bound(queue_.begin(), queue_.end(), ticket,
                                      [](const Item& item, Ticket t) { return item.ticket < t; });
  if (found == queue_.end() || found->ticket != ticket) return false;
  work = std::move(found->work);
  queue_.erase(found);
  start();  // what waited behind it may fit
  return true;
}

void Executor::setLimits(const Limits& limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
  start();
}

Executor::Limits Executor::limits() {
  const std::lock_guard lock(mutex_);
  return limits_;
}

Executor::Counters Executor::counters() {
  const std::lock_guard lock(mutex_);
  Counters counters;
  counters.queued = room().waiting;
  for (const Worker& worker : workers_) {
    ++(worker.busy && !worker.finished ? counters.running : counters.idleThreads);
  }
  const int64_t about = static_cast<int64_t>(queue_.size()) - counters.queued;
  counters.running += about;
  counters.idleThreads = std::max<int64_t>(counters.idleThreads - about, 0);
  return counters;
}

void Executor::finish() {
  if (current_ == nullptr) return;
  const std::lock_guard lock(instance().mutex_);
  current_->finished = true;
}

void Executor::start() {
  while (!queue_.empty() && fits(queue_.front().threads, active_, freeCores_)) {
    // Always the first idle worker: each thread keeps an OpenMP team of its own once it ran wide
    // work, so the fewer threads do that the better.
    auto idle = std::find_if(workers_.begin(), workers_.end(),
                             [](const Worker& worker) { return !worker.busy; });
    if (idle == workers_.end()) {
      idle = workers_.emplace(workers_.end());
      std::thread([this, idle] { loop(idle); }).detach();
    }
    idle->busy = true;
    idle->finished = false;
    idle->threads = queue_.front().threads;
    idle->work = std::move(queue_.front().work);
    freeCores_ -= idle->threads;
    ++active_;
    queue_.pop_front();
    idle->wake.notify_one();
  }
}

void Executor::loop(std::list<Worker>::iterator worker) {
  current_ = &*worker;
  std::unique_lock lock(mutex_);
  const auto hasWork = [&] { return static_cast<bool>(worker->work); };
  for (;;) {
    if (!worker->wake.wait_for(lock, kKeepThreads, hasWork)) {
      lock.unlock();
      releaseThreads();
      lock.lock();
      if (!worker->wake.wait_for(lock, kKeepWorker, hasWork)) {
        workers_.erase(worker);
        return;
      }
    }
    auto work = std::exchange(worker->work, nullptr);
    lock.unlock();
    work();
    work = nullptr;  // what it holds may be large: let go of it before the cores are given back
    lock.lock();
    freeCores_ += worker->threads;
    --active_;
    worker->busy = false;
    start();
  }
}

}  // namespace tc
