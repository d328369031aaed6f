#include "core/program/range_checks.h"

#include <ATen/ATen.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/program/schema.h"
#include "core/runtime/error.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

namespace {

using Shape = std::vector<int64_t>;

at::Tensor of(const Shape& shape) { return at::rand(shape, at::kDouble); }
at::Tensor mask(const Shape& shape) { return at::rand(shape) < 0.5; }

/// Whole numbers, most of them places among `size`, in one call of three all of them.
class Places {
 public:
  explicit Places(uint64_t seed) : generator_(seed) {}

  at::Tensor operator()(const Shape& shape, int64_t size) {
    const int64_t beyond = std::uniform_int_distribution<int64_t>(0, 2)(generator_);
    return at::randint(beyond == 1 ? -size : 0, size + (beyond == 2 ? 2 : 0), shape, at::kLong);
  }
  int64_t number(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(generator_);
  }

 private:
  std::mt19937_64 generator_;
};

c10::List<std::optional<at::Tensor>> list(const std::vector<std::optional<at::Tensor>>& tensors) {
  return c10::List<std::optional<at::Tensor>>(tensors);
}

/// A call of an operator, some of whose numbers may be out of range.
struct Row {
  std::string target;
  std::function<torch::jit::Stack(Places&)> call;
};

const std::optional<at::Tensor> kNone;

std::vector<Row> rows() {
  std::vector<Row> rows;
  const auto add = [&](const char* target, std::function<torch::jit::Stack(Places&)> call) {
    rows.push_back({target, std::move(call)});
  };
  add("aten::index.Tensor", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3, 5}), list({places({2}, 4), kNone, places({3, 1}, 5)})};
  });
  add("aten::index.Tensor", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3, 5}), list({mask({4, 3}), places({}, 5)})};
  });
  add("aten::index.Tensor", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3, 5}), list({mask({4, 3}).to(at::kByte), places({}, 5)})};
  });
  add("aten::index_put", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), list({kNone, places({2}, 3)}), of({}), true};
  });
  add("aten::gather", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), places.number(-2, 1), places({2, 2}, 3), false};
  });
  add("aten::gather",
      [](Places& places) -> torch::jit::Stack { return {of({}), 0, places({}, 1), false}; });
  add("aten::scatter.src", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), 1, places({2, 2}, 3), of({2, 2})};
  });
  add("aten::scatter.value",
      [](Places& places) -> torch::jit::Stack { return {of({4, 3}), -2, places({2, 2}, 4), 1.5}; });
  add("aten::scatter_add", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), 0, places({2, 2}, 4), of({2, 2})};
  });
  add("aten::scatter_reduce.two", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), 0, places({2, 2}, 4), of({2, 2}), "amax", true};
  });
  add("aten::index_select",
      [](Places& places) -> torch::jit::Stack { return {of({4, 3}), -1, places({5}, 3)}; });
  add("aten::index_add", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), 1, places({2}, 3), of({4, 2}), 2};
  });
  add("aten::index_copy", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), 0, places({2}, 4), of({2, 3})};
  });
  add("aten::index_fill.int_Scalar",
      [](Places& places) -> torch::jit::Stack { return {of({4, 3}), 0, places({2}, 4), 0.5}; });
  add("aten::index_reduce", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), 1, places({2}, 3), of({4, 2}), "mean", true};
  });
  add("aten::take_along_dim", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), places({5}, 12), c10::IValue()};
  });
  add("aten::take",
      [](Places& places) -> torch::jit::Stack { return {of({4, 3}), places({2, 2}, 12)}; });
  add("aten::put", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), places({2, 2}, 12), of({2, 2}), true};
  });
  add("aten::embedding", [](Places& places) -> torch::jit::Stack {
    return {of({5, 3}), places({2, 2}, 5), -1, false, false};
  });
  add("aten::one_hot", [](Places& places) -> torch::jit::Stack {
    return {places({2, 2}, 5), places.number(0, 1) == 0 ? 5 : -1};
  });
  for (const char* target : {"aten::nll_loss", "aten::nll_loss_forward", "aten::nll_loss_nd"}) {
    add(target, [](Places& places) -> torch::jit::Stack {
      return {of({2, 5}), places({2}, 5), c10::IValue(), 1, places.number(-1, 0)};
    });
  }
  add("aten::nll_loss", [](Places& places) -> torch::jit::Stack {
    return {of({5}), places({}, 5), c10::IValue(), 1, -100};
  });
  for (const char* target : {"aten::nll_loss2d", "aten::nll_loss2d_forward"}) {
    add(target, [](Places& places) -> torch::jit::Stack {
      return {of({2, 5, 2, 1}), places({2, 2, 1}, 5), c10::IValue(), 1, places.number(-1, 5)};
    });
  }
  add("aten::cross_entropy_loss", [](Places& places) -> torch::jit::Stack {
    return {of({2, 5}), places({2}, 5), c10::IValue(), 1, places.number(-1, 0), 0.1};
  });
  add("aten::masked_scatter", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), mask({3}), of({places.number(0, 12)})};
  });
  add("aten::max_unpool2d", [](Places& places) -> torch::jit::Stack {
    return {of({1, 2, 2, 2}), places({1, 2, 2, 2}, 16), Shape{4, 4}};
  });
  add("aten::max_unpool3d", [](Places& places) -> torch::jit::Stack {
    return {of({1, 2, 1, 2, 2}), places({1, 2, 1, 2, 2}, 32), Shape{2, 4, 4}, Shape{2, 2, 2},
            Shape{0, 0, 0}};
  });
  add("aten::binary_cross_entropy", [](Places& places) -> torch::jit::Stack {
    const auto off = [&] { return static_cast<double>(places.number(-2, 2)) / 8; };
    return {of({3}) + off(), of({3}) + off(), c10::IValue(), 1};
  });
  add("aten::repeat_interleave.Tensor", [](Places& places) -> torch::jit::Stack {
    return {at::randint(0, 3, {2}, at::kLong), places.number(0, 4)};
  });
  add("aten::repeat_interleave.self_Tensor", [](Places& places) -> torch::jit::Stack {
    return {of({4, 3}), at::randint(0, 3, {places.number(0, 1) == 0 ? 1 : 3}, at::kLong), 1,
            places.number(0, 6)};
  });
  return rows;
}

/// Calls that read and write nothing at the places that they name, or not what they seem to.
std::vector<std::pair<std::string, torch::jit::Stack>> rightCalls() {
  const at::Tensor none = of({4, 0});
  const at::Tensor nine = at::full({1}, 9, at::kLong);
  return {
      {"aten::index_add", {none, 0, nine, of({1, 0}), 1}},
      {"aten::index_copy", {none, 0, nine, of({1, 0})}},
      {"aten::index_fill.int_Scalar", {none, 0, nine, 0.5}},
      {"aten::index.Tensor", {none, list({nine})}},
      {"aten::index.Tensor", {of({4, 5}), list({nine, at::zeros({0, 1}, at::kLong)})}},
      {"aten::gather", {none, 0, at::zeros({9, 0}, at::kLong), false}},
      {"aten::take_along_dim", {of({4, 3}), nine.expand({4, 1}), 1}},
      {"aten::nll_loss", {of({2, 0}), at::full({2}, -100, at::kLong), c10::IValue(), 1, -100}},
      {"aten::nll_loss", {of({2, 200}), at::full({2}, 156, at::kByte), c10::IValue(), 1, -100}},
      {"aten::gather", {of({4, 3}), 0, at::zeros({1, 1}, at::kLong).expand({4, 3}), false}},
  };
}

template <typename Call>
bool refuses(Call&& call) {
  try {
    call();
    return false;
  } catch (const std::exception&) {
    return true;
  }
}

}  // namespace

TEST_CASE("what libtorch refuses on the CPU is refused before a GPU sees it, and nothing else") {
  at::manual_seed(1);
  Places places(1);
  for (const Row& row : rows()) {
    const c10::OperatorHandle op = findOperator(row.target);
    const ArgumentCheck check = findRangeCheck(op);
    const ArgumentCheck always = findArgumentCheck(op);
    int refused = 0;
    int taken = 0;
    for (int trial = 0; trial < 200; ++trial) {
      const torch::jit::Stack call = row.call(places);
      const bool expected = refuses([&] {
        torch::jit::Stack stack = call;
        op.callBoxed(stack);
      });
      const bool found = refuses([&] {
        if (check != nullptr) check(op.schema(), call);
        if (always != nullptr) always(op.schema(), call);
      });
      CAPTURE(row.target);
      CAPTURE(trial);
      CHECK(found == expected);
      (expected ? refused : taken)++;
    }
    CAPTURE(row.target);
    CHECK(refused > 0);
    CHECK(taken > 0);
  }
}

TEST_CASE("calls that read nothing at places out of range are right") {
  for (const auto& [target, call] : rightCalls()) {
    CAPTURE(target);
    const c10::OperatorHandle op = findOperator(target);
    torch::jit::Stack stack = call;
    op.callBoxed(stack);
    if (const ArgumentCheck check = findRangeCheck(op)) CHECK_NOTHROW(check(op.schema(), call));
  }
}
