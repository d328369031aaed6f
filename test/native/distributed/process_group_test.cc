#include "core/distributed/process_group.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/kron.h>
#include <ATen/ops/outer.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "code_of.h"
#include "core/distributed/distributed.h"
#include "core/distributed/stacked.h"
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

TEST_CASE("an operator with the rows of all ranks, as they are and around their mean") {
  const auto options = at::TensorOptions(at::kDouble);
  // Of 1, 0 and 2 data with two rows each.
  const std::vector<int64_t> begins{0, 2, 2, 6};
  const at::Tensor all = at::arange(18, options).view({6, 3}).sin();
  const at::Tensor weights = at::arange(1, 4, options);
  const at::Tensor roots = weights.sqrt();
  const at::Tensor s = roots / roots.square().sum().sqrt();
  // (I − s sᵀ) ⊗ I
  const at::Tensor centering =
      at::kron(at::eye(3, options) - at::outer(s, s), at::eye(2, options)).contiguous();
  for (const bool center : {false, true}) {
    CAPTURE(center);
    const at::Tensor expected = center ? centering.mm(all) : all;
    const auto codes = onRanks(3, [&](const ProcessGroupPtr& group) {
      const auto rank = static_cast<size_t>(group->rank());
      const at::Tensor own = all.slice(0, begins[rank], begins[rank + 1]).contiguous();
      Stack stack{{3, 2}, begins[rank] / 2, center ? roots : at::Tensor()};
      const OperatorPtr op = stacked(denseOperator(own, false), std::move(stack), group);
      const auto near = [](const at::Tensor& a, const at::Tensor& b) {
        return a.sizes() == b.sizes() && (a - b).abs().max().item<double>() < 1e-14;
      };
      const at::Tensor v = at::arange(6, options).view({2, 3}).cos();
      const at::Tensor u = at::arange(12, options).view({2, 6}).cos();
      CHECK(op->outputShape() == std::vector<int64_t>{3, 2});
      CHECK(near(op->matvec(v[0], {}), expected.mv(v[0])));
      CHECK(near(op->matmat(v, {}), v.mm(expected.t())));
      CHECK(near(op->rmatvec(u[1], {}), expected.t().mv(u[1])));
      CHECK(near(op->rmatmat(u, {}), u.mm(expected)));
      CHECK(near(op->toDense({}), expected));
      CHECK(near(op->toDenseRows(1, 4, {}), expected.slice(0, 1, 4)));
    });
    CHECK(codes == kNoFailure);
  }
  const auto codes = onRanks(3, [&](const ProcessGroupPtr& group) {
    stacked(denseOperator(all, false), {{3, 2}, 1, {}}, group);
  });
  CHECK(codes == std::vector<std::string>(3, "ERR_SHAPE_MISMATCH"));
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
