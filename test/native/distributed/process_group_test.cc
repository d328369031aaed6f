#include "core/distributed/process_group.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "code_of.h"
#include "core/distributed/distributed.h"
#include "core/operators/matrix.h"
#include "core/runtime/error.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

namespace {

/// Adds the tensors of threads.
class Hub {
 public:
  explicit Hub(int ranks) : ranks_(ranks) {}

  void sum(at::Tensor& values) {
    std::unique_lock lock(mutex_);
    const int round = round_;
    at::Tensor& total = totals_[round];
    total = came_ == 0 ? values.clone() : total + values;
    if (++came_ == ranks_) {
      came_ = 0;
      ++round_;
      ended_.notify_all();
    }
    ended_.wait(lock, [&] { return round_ != round || gone_; });
    if (round_ == round) throw Error("ERR_DISTRIBUTED", "somebody hung up");
    values.copy_(totals_[round]);
  }
  void hangUp() {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    ended_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  int ranks_;
  int came_ = 0;
  int round_ = 0;
  bool gone_ = false;
  std::map<int, at::Tensor> totals_;  ///< of each round: a fast rank may be in the next
};

class HubPeers : public Peers {
 public:
  explicit HubPeers(std::shared_ptr<Hub> hub) : hub_(std::move(hub)) {}
  c10::Device device() const override { return c10::kCPU; }
  void sum(at::Tensor& values) override { hub_->sum(values); }
  void hangUp() override { hub_->hangUp(); }
  void leaveNote(const std::string&, const std::string&) override {}
  std::optional<std::string> note(const std::string&, int, std::chrono::milliseconds) override {
    return "";
  }
  void declareOver() override {}
  void endNotes() override {}

 private:
  std::shared_ptr<Hub> hub_;
};

/// Runs `work` on each of so many ranks, and gives the code of what each failed with.
std::vector<std::string> onRanks(int ranks, const std::function<void(ProcessGroupPtr)>& work) {
  const auto hub = std::make_shared<Hub>(ranks);
  std::vector<std::string> codes(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      Meeting meeting;
      meeting.rank = rank;
      meeting.worldSize = ranks;
      const auto group = std::make_shared<ProcessGroup>(meeting, std::make_unique<HubPeers>(hub));
      codes[static_cast<size_t>(rank)] = test::codeOf([&] {
        work(group);
        group->close({});
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  return codes;
}

const std::vector<std::string> kNoFailure(3);

}  // namespace

TEST_CASE("the sum of vectors that fit into the first numbers, and of longer ones") {
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    for (const int64_t length : {0, 5, 4076, 4077, 20000}) {
      CAPTURE(length);
      const auto codes = onRanks(3, [&](const ProcessGroupPtr& group) {
        const at::Tensor values = at::arange(length, at::TensorOptions(dtype));
        const auto total = group->sum({values * (group->rank() + 1), "values", values, {2}}, {});
        CHECK(total.values.equal(values * 6));
        CHECK(total.values.scalar_type() == dtype);
        CHECK(total.extras[0] == 6);
      });
      CHECK(codes == kNoFailure);
    }
  }
}

TEST_CASE("an operator over processes is the sum of theirs") {
  const auto codes = onRanks(3, [](const ProcessGroupPtr& group) {
    const auto options = at::TensorOptions(at::kDouble);
    const at::Tensor matrix = at::arange(6, options).view({2, 3}) * group->rank();
    const OperatorPtr op = distributed(denseOperator(matrix, false), group);
    const at::Tensor sum = at::arange(6, options).view({2, 3}) * 3;
    const at::Tensor v = at::arange(3, options);
    CHECK(op->matvec(v, {}).equal(sum.mv(v)));
    CHECK(op->rmatvec(v.slice(0, 1), {}).equal(sum.t().mv(v.slice(0, 1))));
    CHECK(op->toDense({}).equal(sum));
  });
  CHECK(codes == kNoFailure);
}

TEST_CASE("where ranks add different things, all of them fail") {
  const std::vector<std::string> all(3, "ERR_DISTRIBUTED");
  const auto add = [](int64_t length, const std::string& subject, double vector) {
    return [=](const ProcessGroupPtr& group) {
      const bool odd = group->rank() == 1;
      group->sum({at::full({odd ? length : 4}, 1.0), odd ? subject : "values",
                  at::full({1}, odd ? vector : 1.0)},
                 {});
    };
  };
  CHECK(onRanks(3, add(4, "values", 1)) == kNoFailure);
  CHECK(onRanks(3, add(5, "values", 1)) == all);
  CHECK(onRanks(3, add(9999, "values", 1)) == all);
  CHECK(onRanks(3, add(4, "others", 1)) == all);
  CHECK(onRanks(3, add(4, "values", 2)) == all);
}

TEST_CASE("a rank that leaves is missed by all others, at once and later") {
  const auto codes = onRanks(3, [](const ProcessGroupPtr& group) {
    if (group->rank() == 2) group->leave(Leaving::kFailed);
    const auto sum = [&] { group->sum({at::full({4}, 1.0), "values", {}}, {}); };
    CHECK(test::codeOf(sum) == "ERR_DISTRIBUTED");
    sum();
  });
  CHECK(codes == std::vector<std::string>(3, "ERR_DISTRIBUTED"));
}

TEST_CASE("a sum that is stopped ends at once, and the rank has left") {
  const auto codes = onRanks(3, [](const ProcessGroupPtr& group) {
    StopToken stop;
    if (group->rank() == 0)
      stop.request();
    else
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    group->sum({at::full({4}, 1.0), "values", {}}, stop);
    group->sum({at::full({4}, 1.0), "more values", {}}, stop);
  });
  CHECK(codes == std::vector<std::string>{"ABORTED", "ERR_DISTRIBUTED", "ERR_DISTRIBUTED"});
}
