#include "core/linearization/recording/recorded.h"

#include <c10/util/Exception.h>

#include "core/linearization/autograd/autograd.h"
#include "core/linearization/recording/cuda_graph.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

struct Counts {
  int runs = 0;
  int records = 0;
  int replays = 0;
};

/// What a recorder of a device does, on the CPU: recordings have one input and one output, which
/// every replay overwrites.
class BufferRecorder : public Recorder {
 public:
  enum class Failure { kNone, kRecord, kReplay };
  BufferRecorder(Counts& counts, Failure failure) : counts_(counts), failure_(failure) {}

  at::Tensor run(const std::function<at::Tensor()>& body) override {
    ++counts_.runs;
    return body();
  }
  Function record(const Function& function, const at::Tensor& input) override {
    ++counts_.records;
    if (failure_ == Failure::kRecord) return {};
    const at::Tensor in = at::zeros_like(input);
    const at::Tensor out = function(in);
    return [this, function, in, out](const at::Tensor& each) {
      ++counts_.replays;
      TORCH_CHECK(failure_ != Failure::kReplay, "no memory to launch");
      in.copy_(each);
      out.copy_(function(in));
      return out.clone();
    };
  }
  int64_t bytes() const override { return 1000; }

 private:
  Counts& counts_;
  Failure failure_;
};

using Failure = BufferRecorder::Failure;

std::unique_ptr<Linearization> recordedOn(Counts& counts, Failure failure, const Point& point) {
  return recorded(std::make_unique<BufferRecorder>(counts, failure),
                  [&] { return linearizeAutograd(point, StopToken()); });
}

/// Products of every kind with other vectors each time, looked at when all have been taken.
void checkProducts(Linearization& linearization, const Point& point, int times) {
  const auto plain = linearizeAutograd(point, StopToken());
  std::vector<std::pair<at::Tensor, at::Tensor>> results;
  for (int time = 0; time < times; ++time) {
    const at::Tensor v = randomLike(point.params, 2 * time);
    const at::Tensor u = randomLike(plain->output(), 2 * time + 1);
    results.emplace_back(linearization.jvp(v, StopToken()), plain->jvp(v, StopToken()));
    results.emplace_back(linearization.vjp(u, StopToken()), plain->vjp(u, StopToken()));
    results.emplace_back(linearization.matvec(v, StopToken()), plain->matvec(v, StopToken()));
  }
  for (const auto& [result, expected] : results) {
    CHECK((result.sizes() == expected.sizes()));
    CHECK(difference(result, expected) < 1e-13);
  }
}

}  // namespace

TEST_CASE("recorded products are those of the linearization") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    Counts counts;
    const auto linearization = recordedOn(counts, Failure::kNone, model.point);
    const auto plain = linearizeAutograd(model.point, StopToken());
    CHECK(difference(linearization->output(), plain->output()) < 1e-14);
    CHECK(linearization->bytes() == plain->bytes() + 1000);
    checkProducts(*linearization, model.point, 5);
    CHECK(counts.records == 3);
    CHECK(counts.runs == 1 + 3 * kProductsBeforeRecording);  // one made it
    CHECK(counts.replays == 3 * (5 - kProductsBeforeRecording));
  }
}

TEST_CASE("products that cannot be recorded run through their operators") {
  const Model model = models().front();
  Counts counts;
  checkProducts(*recordedOn(counts, Failure::kRecord, model.point), model.point, 5);
  CHECK(counts.records == 3);  // tried once for each kind
  CHECK(counts.runs == 1 + 3 * 5);
  CHECK(counts.replays == 0);
}

TEST_CASE("a recording that fails is given up for the operators") {
  const Model model = models().front();
  Counts counts;
  checkProducts(*recordedOn(counts, Failure::kReplay, model.point), model.point, 5);
  CHECK(counts.replays == 3);
  CHECK(counts.runs == 1 + 3 * 5);
}

TEST_CASE("on the CPU there is nothing to record with") {
  CHECK(cudaGraphs(at::kCPU, 1000) == nullptr);
  CHECK(withoutCaptures().owns_lock());
}
