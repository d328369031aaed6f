#include "core/runtime/executor.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "core/runtime/threads.h"

namespace tc {

namespace {

/// How long an idle worker keeps its OpenMP threads for the next piece of work.
constexpr std::chrono::milliseconds kKeepThreads(50);

}  // namespace

thread_local Executor::Worker* Executor::current_ = nullptr;

Executor::Waiting::Waiting() : worker_(current_) {
  if (worker_ == nullptr) return;
  Executor& executor = instance();
  const std::lock_guard lock(executor.mutex_);
  executor.freeCores_ += worker_->threads;
  executor.start();
}

Executor::Waiting::~Waiting() {
  if (worker_ == nullptr) return;
  Executor& executor = instance();
  const std::lock_guard lock(executor.mutex_);
  executor.freeCores_ -=
      worker_->threads;  // below zero while what was started meanwhile still runs
}

Executor& Executor::instance() {
  static auto* executor = new Executor(std::max(availableCores(), defaultThreads()));
  return *executor;
}

Executor::Executor(int cores) : cores_(cores), freeCores_(cores) {}

void Executor::submit(int threads, std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  queue_.push_back({std::clamp(threads, 1, cores_), std::move(work)});
  start();
}

void Executor::start() {
  while (!queue_.empty() && queue_.front().threads <= freeCores_) {
    // Always the first idle worker: each thread keeps an OpenMP team of its own once it ran wide
    // work, so the fewer threads do that the better.
    auto idle = std::find_if(workers_.begin(), workers_.end(),
                             [](const Worker& worker) { return !worker.busy; });
    if (idle == workers_.end()) {
      workers_.emplace_back();
      idle = std::prev(workers_.end());
      std::thread([this, worker = &*idle] { loop(*worker); }).detach();
    }
    idle->busy = true;
    idle->threads = queue_.front().threads;
    idle->work = std::move(queue_.front().work);
    freeCores_ -= idle->threads;
    queue_.pop_front();
    idle->wake.notify_one();
  }
}

void Executor::loop(Worker& worker) {
  current_ = &worker;
  std::unique_lock lock(mutex_);
  const auto hasWork = [&] { return static_cast<bool>(worker.work); };
  for (;;) {
    if (!worker.wake.wait_for(lock, kKeepThreads, hasWork)) {
      lock.unlock();
      releaseThreads();
      lock.lock();
      worker.wake.wait(lock, hasWork);
    }
    auto work = std::exchange(worker.work, nullptr);
    lock.unlock();
    work();
    work = nullptr;  // what it holds may be large: let go of it before the cores are given back
    lock.lock();
    freeCores_ += worker.threads;
    worker.busy = false;
    start();
  }
}

}  // namespace tc
