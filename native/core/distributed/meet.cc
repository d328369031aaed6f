#include "core/distributed/backend.h"
#include "core/distributed/peers.h"
#include "core/runtime/error.h"

#ifdef TC_C10D

#include <c10/util/Exception.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <optional>
#include <regex>
#include <thread>
#include <utility>

#include "core/distributed/ipv4.h"
#include "core/distributed/names.h"
#include "core/distributed/quiet.h"
#include "core/runtime/reason.h"

namespace tc {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using StorePtr = c10::intrusive_ptr<c10d::Store>;

std::string describe(milliseconds time) { return std::to_string(time.count()) + " ms"; }

std::string placeOf(const Meeting& meeting) {
  return meeting.host + ":" + std::to_string(meeting.port);
}

std::vector<uint8_t> bytesOf(const std::string& text) { return {text.begin(), text.end()}; }

std::string textOf(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

bool isLate(const std::string& reason) {
  return reason.find("imed out") != std::string::npos || reason.find("imeout") != std::string::npos;
}

/// Without the place in Gloo's sources, and what it guesses at.
std::string plainReason(const std::exception& error) {
  static const std::regex innards(R"re(^\[[^\]]*:\d+\] |\. This is typically caused by.*$)re");
  return std::regex_replace(reasonOf(error), innards, "");
}

/// A failure of sockets or of Gloo.
Error failure(const std::string& what, const std::exception& error) {
  const std::string reason = plainReason(error);
  return Error(isLate(reason) ? ErrorCode("ERR_TIMEOUT") : ErrorCode("ERR_DISTRIBUTED"),
               what + ": " + reason);
}

constexpr const char* kOver = "over";
/// Between two looks at whether the store of a group that has failed is gone.
constexpr milliseconds kNextStore(50);
/// How long rank 0 keeps the store of a meeting that has failed, and between two looks at who has
/// heard of that.
constexpr milliseconds kHearing(1000);
constexpr milliseconds kNextLook(10);

class C10dPeers : public Peers {
 public:
  C10dPeers(StorePtr store, c10::intrusive_ptr<c10d::Backend> backend, c10::Device device, int rank)
      : store_(std::move(store)), backend_(std::move(backend)), device_(device), rank_(rank) {}

  c10::Device device() const override { return device_; }

  void sum(at::Tensor& values) override {
    try {
      std::vector<at::Tensor> tensors{values};
      backend_->allreduce(tensors)->wait();
    } catch (const std::exception& error) {
      const std::string reason = plainReason(error);
      throw Error(isLate(reason) ? ErrorCode("ERR_TIMEOUT") : ErrorCode("ERR_DISTRIBUTED"), reason);
    }
  }
  void hangUp() override {
    const Quiet quiet;
    backend_.reset();
  }

  void leaveNote(const std::string& topic, const std::string& text) override {
    if (const StorePtr store = notes()) store->set(keyOf(topic, rank_), bytesOf(text));
  }
  std::optional<std::string> note(const std::string& topic, int rank,
                                  milliseconds patience) override {
    const Quiet quiet;
    const StorePtr store = notes();
    if (!store) return std::nullopt;
    try {
      store->wait({keyOf(topic, rank)}, patience);
      return textOf(store->get(keyOf(topic, rank)));
    } catch (const std::exception&) {
      return std::nullopt;  // it did not come, or who keeps the store is gone
    }
  }
  void declareOver() override {
    if (const StorePtr store = notes()) store->set(kOver, bytesOf("over"));
  }
  void endNotes() override {
    const std::lock_guard lock(mutex_);
    store_.reset();
  }

 private:
  static std::string keyOf(const std::string& topic, int rank) {
    return "notes/" + topic + "/" + std::to_string(rank);
  }
  StorePtr notes() {
    const std::lock_guard lock(mutex_);
    return store_;
  }

  std::mutex mutex_;
  StorePtr store_;
  c10::intrusive_ptr<c10d::Backend> backend_;
  c10::Device device_;
  int rank_;
};

std::string notReached(const Meeting& meeting) {
  return "rank 0 was not reached at " + placeOf(meeting) + " within " + describe(meeting.timeout) +
         " (masterAddress and masterPort, or MASTER_ADDR and MASTER_PORT)";
}

Error taken(const Meeting& meeting) {
  return Error("ERR_DISTRIBUTED", "port " + std::to_string(meeting.port) +
                                      " is taken by another process of this machine: choose "
                                      "another masterPort (MASTER_PORT) for all ranks");
}

c10::intrusive_ptr<c10d::TCPStore> openStore(const Meeting& meeting, int port, bool serves) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(port);
  options.isServer = serves;
  options.waitWorkers = false;  // ranks are counted below, with messages that say which are missing
  options.timeout = meeting.timeout;
  std::optional<NoNameServers> withoutNames;
  if (isIPv4(meeting.address)) {
    withoutNames.emplace();
    if (serves) {
      options.masterListenFd = listenOnIPv4(port);
      if (!options.masterListenFd && errno == EADDRINUSE) throw taken(meeting);
      if (options.masterListenFd)
        options.port = static_cast<uint16_t>(portOf(*options.masterListenFd));
    }
  }
  try {
    return c10::make_intrusive<c10d::TCPStore>(meeting.address, options);
  } catch (const std::exception& error) {
    const std::string reason = reasonOf(error);
    if (reason.find("EADDRINUSE") != std::string::npos) throw taken(meeting);
    if (serves)
      throw failure("rank 0 cannot listen on port " + std::to_string(meeting.port), error);
    throw failure(notReached(meeting), error);
  }
}

StorePtr ofGroup(const Meeting& meeting, StorePtr store) {
  return c10::make_intrusive<c10d::PrefixStore>("torch-curvature/" + meeting.prefix,
                                                std::move(store));
}

/// Whether it is that of a group that has failed, or goes down at this moment.
bool isOver(c10d::Store& store) {
  try {
    return store.check({kOver});
  } catch (const std::exception&) {
    return true;
  }
}

/// A connection to a store that is not that of a group that has failed.
c10::intrusive_ptr<c10d::TCPStore> newStore(const Meeting& meeting, Clock::time_point deadline) {
  for (;;) {
    if (isIPv4(meeting.address) && !awaitListener(meeting.address, meeting.port, deadline))
      throw Error("ERR_TIMEOUT", notReached(meeting) + ": nobody listens there");
    try {
      const auto connection = openStore(meeting, meeting.port, false);
      if (Clock::now() > deadline || !isOver(*ofGroup(meeting, connection))) return connection;
    } catch (const Error& error) {
      if (error.code() == ErrorCode("ERR_TIMEOUT") || Clock::now() > deadline) throw;
    }
    std::this_thread::sleep_for(kNextStore);
  }
}

/// What the first rank to say something under this key said.
std::string firstWord(c10d::Store& store, const std::string& key, const std::string& own) {
  return textOf(store.compareSet(key, {}, bytesOf(own)));
}

/// Ends the meeting for all ranks.
[[noreturn]] void refuse(c10d::Store& store, const std::string& reason) {
  firstWord(store, "verdict", reason);
  throw Error("ERR_DISTRIBUTED", reason);
}

constexpr const char* kAgreed = "agreed";

/// Which ranks did not come: some of them, where they are many.
std::string missingRanks(c10d::Store& store, int worldSize) {
  std::string list;
  int named = 0;
  for (int rank = 0; rank < worldSize && named < 8; ++rank) {
    if (store.check({"claims/" + std::to_string(rank)})) continue;
    list += (named++ > 0 ? ", " : "") + std::to_string(rank);
  }
  return list;
}

/// Whether each rank is there once, and has the same idea of the group.
void agree(c10d::Store& store, const Meeting& meeting, Clock::time_point deadline) {
  const std::string own = "a " + meeting.backend + " group of " + std::to_string(meeting.worldSize);
  const std::string first = firstWord(store, "group", own);
  const std::string rank = "rank " + std::to_string(meeting.rank);
  store.add("came", 1);
  if (first != own) refuse(store, rank + " was started for " + own + ", another rank for " + first);
  if (store.add("claims/" + std::to_string(meeting.rank), 1) > 1)
    refuse(store, rank + " was started twice: each process needs a rank of its own");
  if (store.add("present", 1) == meeting.worldSize) firstWord(store, "verdict", kAgreed);
  try {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    store.wait({"verdict"}, std::max(left, milliseconds(1)));
  } catch (const std::exception& error) {
    if (!isLate(reasonOf(error))) throw failure("rank 0 is gone", error);
    const int64_t present = store.add("present", 0);
    throw Error("ERR_TIMEOUT", std::to_string(present) + " of " +
                                   std::to_string(meeting.worldSize) + " ranks came within " +
                                   describe(meeting.timeout) +
                                   "; missing: " + missingRanks(store, meeting.worldSize));
  }
  const std::string verdict = textOf(store.get("verdict"));
  if (verdict != kAgreed) throw Error("ERR_DISTRIBUTED", verdict);
}

/// A rank has heard that the meeting failed. The store ends with the rank that keeps it, which
/// therefore waits until the others that came have heard, too.
void hear(c10d::Store& store, bool serves) {
  try {
    store.add("heard", 1);
    const auto deadline = Clock::now() + kHearing;
    while (serves && store.add("heard", 0) < store.add("came", 0) && Clock::now() < deadline)
      std::this_thread::sleep_for(kNextLook);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): who keeps the store is gone
  }
}

}  // namespace

Table<DistributedBackend>& distributedBackends() {
  static Table<DistributedBackend> table("backend");
  return table;
}

std::unique_ptr<Peers> meet(const Meeting& given) {
  Meeting meeting = given;
  const DistributedBackend* backend = distributedBackends().find(meeting.backend);
  if (backend == nullptr) {
    std::string known;
    for (const auto& [name, row] : distributedBackends().rows())
      known += (known.empty() ? "'" : ", '") + name + "'";
    throw Error("ERR_DISTRIBUTED", "this addon has no backend '" + meeting.backend + "', but " +
                                       known + ", which adds what is on a GPU, too, in memory");
  }
  const Quiet quiet;
  const auto deadline = Clock::now() + meeting.timeout;
  // By a name, rank 0 listens at addresses of every kind: other ranks may know it by another.
  if (meeting.serves && meeting.host != "localhost") {
    meeting.address = meeting.host;
  } else if (const auto address = toIPv4(meeting.host, deadline)) {
    meeting.address = *address;
  } else {
    throw Error("ERR_TIMEOUT", notReached(meeting) + ": the name is not known");
  }
  auto connection =
      meeting.serves ? openStore(meeting, meeting.port, true) : newStore(meeting, deadline);
  const StorePtr store = ofGroup(meeting, connection);
  try {
    agree(*store, meeting, deadline);
  } catch (const Error&) {
    hear(*store, meeting.serves);
    throw;
  } catch (const std::exception& error) {
    throw failure("rank 0 is gone", error);
  }
  try {
    // The backend keeps what it is given: by a connection of its own, the store's port can be free
    // before the backend ends.
    const StorePtr own =
        meeting.serves ? ofGroup(meeting, openStore(meeting, connection->getPort(), false)) : store;
    return std::make_unique<C10dPeers>(store, backend->connect(own, meeting),
                                       backend->device(meeting), meeting.rank);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw failure("the ranks did not connect with one another", error);
  }
}

}  // namespace tc

#else

namespace tc {

std::unique_ptr<Peers> meet(const Meeting&) {
  throw Error("ERR_DISTRIBUTED",
              "the libtorch that this addon was built for has no process groups (c10d)");
}

}  // namespace tc

#endif
