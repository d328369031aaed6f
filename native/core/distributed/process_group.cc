#include "core/distributed/process_group.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "core/profiler/stage.h"
#include "core/profiler/thread_name.h"
#include "core/runtime/error.h"
#include "core/runtime/executor.h"
#include "core/runtime/reason.h"

namespace tc {
namespace {

using std::chrono::milliseconds;

/// Doubles that are added first, on all ranks as many, whatever they add: ranks that do different
/// things could not add vectors of different lengths. They have room for the agreement and for what
/// small vectors hold, which take one sum of this size.
constexpr int64_t kFirst = 4096;
/// How long a failure waits for what other ranks have to say about it.
constexpr milliseconds kPatience(1500);
/// How long rank 0 keeps the notes for others once the group has failed.
constexpr milliseconds kNotesKept(3000);
/// Beyond its time-outs, which it may use twice, what a meeting may take.
constexpr milliseconds kSlack(10000);
/// Between two looks at the stop token.
constexpr milliseconds kLook(20);

constexpr const char* kClosed = "the process group was used after its close()";
/// What looks like another operation, or another vector, where a solver has ended on some ranks.
constexpr const char* kEndedEarly =
    "; an onIteration that ends a solver should do so on all ranks, in the same iteration";

/// Has a thread of its own run `work`, and waits for it no longer than that: work with the store of
/// a rank that hangs may never end.
void within(milliseconds time, std::function<void()> work) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable ended;
    bool done = false;
  };
  const auto shared = std::make_shared<Shared>();
  std::thread([shared, work = std::move(work)] {
    try {
      work();
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): nothing to say, then
    }
    const std::lock_guard lock(shared->mutex);
    shared->done = true;
    shared->ended.notify_all();
  }).detach();
  std::unique_lock lock(shared->mutex);
  shared->ended.wait_for(lock, time, [&] { return shared->done; });
}

/// The stores of groups that are of no more use, to which this process keeps its connections for a
/// while, and the store itself for other ranks' notes. Before it meets others at the same place for
/// a new group, all of them have ended, or say that they are over.
class OldStores {
 public:
  static OldStores& instance() {
    static auto* stores = new OldStores;
    return *stores;
  }
  void add(int count) {
    const std::lock_guard lock(mutex_);
    count_ += count;
    changed_.notify_all();
  }
  /// Waits for so long, or until another store is to come.
  void keep(milliseconds time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return wanted_ > 0; });
  }
  /// Waits until there are none, for so long at most.
  void end(milliseconds time) {
    std::unique_lock lock(mutex_);
    ++wanted_;
    changed_.notify_all();
    changed_.wait_for(lock, time, [this] { return count_ == 0; });
    --wanted_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
  int wanted_ = 0;
};

std::string nameOf(int rank) { return "rank " + std::to_string(rank); }

const char* describe(Leaving leaving) {
  switch (leaving) {
    case Leaving::kStopped:
      return "its operation was aborted there";
    case Leaving::kFailed:
      return "its part of the operation failed there, as its own error says";
    default:
      return "it was closed there";
  }
}

}  // namespace

/// What the group shares with its thread, which may outlive it.
struct ProcessGroup::State {
  State(const Meeting& meeting, std::unique_ptr<Peers> peers)
      : meeting(meeting), peers(std::move(peers)) {}

  const Meeting meeting;
  const std::shared_ptr<Peers> peers;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> tasks;
  std::optional<Error> failure;  ///< what everything fails with from now on
  bool left = false;             ///< this rank has left, or will once what is under way has ended
  bool ended = false;            ///< the connections are
  bool storeEnded = false;       ///< the group's thread only

  void loop();
  void sum(at::Tensor& values);
  Total add(const Contribution& contribution);
  using Settle = std::function<void(std::optional<Total>, std::optional<Error>)>;
  void tryToAdd(const Contribution& contribution, const Settle& settle);
  void say(Leaving leaving);
  void requireAgreement(const Agreed& agreed, const std::string& subject);
  [[noreturn]] void tellDifference(const std::string& topic, const std::string& own,
                                   const std::string& message);
  std::string silentRanks();
  void end(const Error& error);
  void endStore();
  void requireUsable();
  void fail(const std::string& reason);
};

void ProcessGroup::State::loop() {
  profiling::nameThisThread("tc-ranks");
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [&] { return ended || !tasks.empty(); });
    if (ended) break;
    auto task = std::move(tasks.front());
    tasks.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
  const bool lost = !left;
  const auto rest = std::exchange(tasks, {});
  lock.unlock();
  peers->hangUp();
  for (const auto& task : rest) task();  // which find that the group has failed
  if (lost) within(kPatience, [peers = this->peers] { peers->declareOver(); });
  if (meeting.serves && lost) OldStores::instance().keep(kNotesKept);
  endStore();
}

/// With the mutex held: from now on the group is of no more use.
void ProcessGroup::State::end(const Error& error) {
  if (failure) return;
  failure = error;
  OldStores::instance().add(1);
}

/// On the group's thread.
void ProcessGroup::State::endStore() {
  peers->endNotes();
  if (!std::exchange(storeEnded, true)) OldStores::instance().add(-1);
}

void ProcessGroup::State::sum(at::Tensor& values) {
  try {
    peers->sum(values);
  } catch (const Error& error) {
    peers->hangUp();  // or those that wait for this rank would not notice yet
    const std::string silent = silentRanks();
    throw Error(error.code(), std::string("the ranks lost contact: ") + error.what() +
                                  (silent.empty() ? "" : " (" + silent + ")"));
  }
}

/// On the group's thread. The group has failed where it throws.
ProcessGroup::Total ProcessGroup::State::add(const Contribution& contribution) {
  const at::Tensor flat = contribution.values.reshape({-1}).to(peers->device()).contiguous();
  const int64_t inFirst = std::min(flat.numel(), kFirst - Agreement::kNumbers);
  Agreement agreement;
  const std::string subject = contribution.subject + ", " + std::to_string(flat.numel()) +
                              " numbers of type " + at::toString(flat.scalar_type());
  agreement.subject = fingerprint(subject);
  if (contribution.vectors.defined()) agreement.vectors = fingerprint(contribution.vectors);
  agreement.extras = contribution.extras;
  at::Tensor first = at::zeros({kFirst}, at::kDouble);
  agreement.write(meeting.rank, first.mutable_data_ptr<double>());
  first.narrow(0, Agreement::kNumbers, inFirst).copy_(flat.narrow(0, 0, inFirst));
  first = first.to(peers->device());
  sum(first);
  const at::Tensor sums = first.cpu();
  const Agreed agreed = readAgreement(sums.const_data_ptr<double>(), meeting.worldSize);
  requireAgreement(agreed, subject);
  at::Tensor total = at::empty_like(flat);
  total.narrow(0, 0, inFirst).copy_(first.narrow(0, Agreement::kNumbers, inFirst));
  if (flat.numel() > inFirst) {
    at::Tensor rest = flat.slice(0, inFirst).clone();
    sum(rest);
    total.slice(0, inFirst).copy_(rest);
  }
  return {total.to(contribution.values.device()).view(contribution.values.sizes()), agreed.extras};
}

/// On the group's thread: the sum, or why the group has failed.
void ProcessGroup::State::tryToAdd(const Contribution& contribution, const Settle& settle) {
  try {
    requireUsable();
    settle(add(contribution), {});
  } catch (const Error& error) {
    fail(error.what());
    settle({}, error);
  } catch (const std::exception& error) {
    fail(reasonOf(error));
    settle({}, Error("ERR_DISTRIBUTED", reasonOf(error)));
  }
}

void ProcessGroup::State::requireAgreement(const Agreed& agreed, const std::string& subject) {
  if (agreed.leavers > 0) {
    throw Error("ERR_DISTRIBUTED",
                agreed.leavers == 1
                    ? nameOf(agreed.leaver) + " left the process group: " + describe(agreed.leaving)
                    : std::to_string(agreed.leavers) + " ranks left the process group");
  }
  if (!agreed.subject) {
    tellDifference("subject", subject,
                   std::string("the ranks do not do the same: every rank should ask for the same "
                               "operations in the same order, with the same shapes and options") +
                       kEndedEarly);
  }
  if (!agreed.vectors) {
    tellDifference(
        "vectors", subject + ", with " + meeting.computers,
        std::string("the ranks multiply different vectors: right-hand sides, seeds and options "
                    "should be the same on every rank, and the numbers of threads, as bits follow "
                    "from them") +
            kEndedEarly);
  }
}

void ProcessGroup::State::tellDifference(const std::string& topic, const std::string& own,
                                         const std::string& message) {
  const auto told = std::make_shared<std::string>();
  const int other = meeting.rank == 0 ? 1 : 0;
  const auto guard = std::make_shared<std::mutex>();
  within(kPatience, [=, peers = this->peers] {
    peers->leaveNote(topic, own);
    const auto note = peers->note(topic, other, kPatience);
    const std::lock_guard lock(*guard);
    if (note) *told = "; " + nameOf(other) + ": " + *note;
  });
  const std::lock_guard lock(*guard);
  throw Error("ERR_DISTRIBUTED", message + " (" + nameOf(meeting.rank) + ": " + own + *told + ")");
}

/// Of a failure that all ranks should have noticed: those that have nothing to say about it.
std::string ProcessGroup::State::silentRanks() {
  const auto silent = std::make_shared<std::string>("rank 0, which keeps the group's store");
  const auto guard = std::make_shared<std::mutex>();
  const auto until = std::chrono::steady_clock::now() + kPatience;
  within(kPatience + kLook, [=, peers = this->peers, meeting = this->meeting] {
    peers->leaveNote("lost", "");
    // Without the store, nobody's note is there.
    if (!peers->note("lost", meeting.rank, kPatience / 2)) return;
    std::string list;
    int named = 0;
    for (int rank = 0; rank < meeting.worldSize && named < 8; ++rank) {
      const auto left =
          std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now());
      if (rank == meeting.rank) continue;
      // What came is there without waiting.
      if (peers->note("lost", rank, std::max(left / 2, milliseconds(1)))) continue;
      list += (named++ > 0 ? ", " : "ranks that do not answer: ") + std::to_string(rank);
    }
    const std::lock_guard lock(*guard);
    *silent = list;
  });
  const std::lock_guard lock(*guard);
  return *silent;
}

void ProcessGroup::State::requireUsable() {
  const std::lock_guard lock(mutex);
  if (failure) throw *failure;
}

void ProcessGroup::State::fail(const std::string& reason) {
  const std::lock_guard lock(mutex);
  if (left) return;  // what it has to say yet ends the connections
  end(Error("ERR_DISTRIBUTED", "the process group has failed and is of no more use: " + reason));
  ended = true;
  changed.notify_all();
}

/// On the group's thread.
void ProcessGroup::State::say(Leaving leaving) {
  {
    const std::lock_guard lock(mutex);
    if (ended) return;
  }
  Agreement agreement;
  agreement.leaving = leaving;
  // Before the others can meet again: they would take the store for that of a new group.
  if (leaving != Leaving::kClosed)
    within(kPatience, [peers = this->peers] { peers->declareOver(); });
  endStore();
  try {
    at::Tensor first = at::zeros({kFirst}, at::kDouble);
    agreement.write(meeting.rank, first.mutable_data_ptr<double>());
    first = first.to(peers->device());
    peers->sum(first);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the others know
  }
  const std::lock_guard lock(mutex);
  ended = true;
  changed.notify_all();
}

ProcessGroupPtr ProcessGroup::join(const Meeting& meeting, const StopToken& stop) {
  struct Joining {
    std::mutex mutex;
    std::condition_variable changed;
    ProcessGroupPtr group;
    std::exception_ptr error;
    bool abandoned = false;
  };
  const auto joining = std::make_shared<Joining>();
  std::thread([joining, meeting] {
    ProcessGroupPtr group;
    std::exception_ptr error;
    try {
      OldStores::instance().end(std::min(meeting.timeout, kNotesKept));
      group = std::make_shared<ProcessGroup>(meeting, meet(meeting));
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(joining->mutex);
    if (joining->abandoned) return;
    joining->group = std::move(group);
    joining->error = error;
    joining->changed.notify_all();
  }).detach();
  const Executor::Waiting cores;
  // Every wait of the meeting has the time-out as its limit; a store that hangs has none.
  const auto limit = std::chrono::steady_clock::now() + 2 * meeting.timeout + kSlack;
  std::unique_lock lock(joining->mutex);
  while (
      !joining->changed.wait_for(lock, kLook, [&] { return joining->group || joining->error; })) {
    const bool late = std::chrono::steady_clock::now() > limit;
    if (!late && !stop.requested()) continue;
    joining->abandoned = true;
    stop.poll();
    throw Error("ERR_TIMEOUT", "the ranks did not meet within the time-out: the process at " +
                                   meeting.host + ":" + std::to_string(meeting.port) +
                                   " does not answer as rank 0 of a group");
  }
  if (joining->error) std::rethrow_exception(joining->error);
  return joining->group;
}

ProcessGroup::ProcessGroup(const Meeting& meeting, std::unique_ptr<Peers> peers)
    : rank_(meeting.rank),
      size_(meeting.worldSize),
      state_(std::make_shared<State>(meeting, std::move(peers))) {
  std::thread([state = state_] { state->loop(); }).detach();
}

ProcessGroup::~ProcessGroup() {
  const std::lock_guard lock(state_->mutex);
  if (state_->left) return;  // once it has said so, it ends
  state_->end(Error("ERR_DISPOSED", kClosed));
  state_->ended = true;
  state_->changed.notify_all();
}

ProcessGroup::Total ProcessGroup::sum(Contribution contribution, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::all_reduce", {contribution.values});
  struct Task {
    std::mutex mutex;
    std::condition_variable ended;
    std::optional<Total> total;
    std::optional<Error> error;
  };
  const auto task = std::make_shared<Task>();
  const auto settle = [task](std::optional<Total> total, std::optional<Error> error) {
    const std::lock_guard lock(task->mutex);
    task->total = std::move(total);
    task->error = std::move(error);
    task->ended.notify_all();
  };
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->failure) throw *state_->failure;
    state_->tasks.push_back([state = state_.get(), settle, contribution = std::move(contribution)] {
      state->tryToAdd(contribution, settle);
    });
    state_->changed.notify_all();
  }
  const Executor::Waiting cores;
  std::unique_lock lock(task->mutex);
  while (!task->ended.wait_for(lock, kLook, [&] { return task->total || task->error; })) {
    if (!stop.requested()) continue;
    leave(Leaving::kStopped);
    stop.poll();
  }
  if (task->error) throw *task->error;
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): one of the two is there
  return std::move(*task->total);
}

void ProcessGroup::refuse(const std::string& reason) {
  const std::lock_guard lock(state_->mutex);
  if (state_->failure) return;
  state_->tasks.push_back([state = state_.get(), reason] {
    Contribution none;
    none.values = at::empty({0});
    none.subject = reason;
    state->tryToAdd(none, [](auto&&...) {});
  });
  state_->changed.notify_all();
}

void ProcessGroup::leave(Leaving how) noexcept {
  const std::lock_guard lock(state_->mutex);
  if (state_->failure) return;
  state_->left = true;
  if (how == Leaving::kClosed) {
    state_->end(Error("ERR_DISPOSED", kClosed));
  } else {
    state_->end(
        Error("ERR_DISTRIBUTED",
              std::string("this rank has left the process group, which is of no more use: ") +
                  (how == Leaving::kStopped ? "an operation was aborted"
                                            : "its part of an operation failed")));
  }
  state_->tasks.push_back([state = state_.get(), how] { state->say(how); });
  state_->changed.notify_all();
}

void ProcessGroup::close(const StopToken& stop) {
  leave(Leaving::kClosed);
  {
    const std::lock_guard lock(state_->mutex);
    const auto& failure = state_->failure;
    if (failure && failure->code() != ErrorCode("ERR_DISPOSED")) return;  // nobody to wait for
  }
  const Executor::Waiting cores;
  std::unique_lock lock(state_->mutex);
  while (!state_->changed.wait_for(lock, kLook, [&] { return state_->ended; })) stop.poll();
}

}  // namespace tc
