#include "core/program/functional.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/runtime/error.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

using Argument = ProgramSpec::Argument;
using Float = ProgramSpec::Float;
using List = std::vector<double>;
using Ref = ProgramSpec::Ref;

/// An operator with what follows its first argument, and what ATen does in its place.
struct Row {
  std::string target;
  std::vector<Argument> args;
  std::function<at::Tensor(at::Tensor)> eager;

  Ref of(Builder& b, Ref first) const {
    std::vector<Argument> all{first};
    all.insert(all.end(), args.begin(), args.end());
    return b.call(target, all);
  }
};

/// Of tensors [4, 3, 2].
const std::vector<Row> kViews = {
    {"aten::alias", {}, [](at::Tensor t) { return t; }},
    {"aten::select.int", {1.0, 2.0}, [](at::Tensor t) { return t.select(1, 2); }},
    {"aten::slice.Tensor", {0.0, 1.0, 3.0}, [](at::Tensor t) { return t.slice(0, 1, 3); }},
    {"aten::slice.Tensor", {0.0, 0.0, 4.0, 2.0}, [](at::Tensor t) { return t.slice(0, 0, 4, 2); }},
    {"aten::transpose.int", {0.0, 2.0}, [](at::Tensor t) { return t.transpose(0, 2); }},
    {"aten::permute", {List{1, 2, 0}}, [](at::Tensor t) { return t.permute({1, 2, 0}); }},
    {"aten::view", {List{2, 12}}, [](at::Tensor t) { return t.view({2, 12}); }},
    {"aten::diagonal", {0.0, 1.0, 2.0}, [](at::Tensor t) { return t.diagonal(0, 1, 2); }},
};

const std::vector<Row> kChanges = {
    {"aten::mul_.Scalar", {Float{-0.5}}, [](at::Tensor t) { return t.mul_(-0.5); }},
    {"aten::fill_.Scalar", {Float{0.25}}, [](at::Tensor t) { return t.fill_(0.25); }},
    {"aten::zero_", {}, [](at::Tensor t) { return t.zero_(); }},
    {"aten::tanh_", {}, [](at::Tensor t) { return t.tanh_(); }},
    {"aten::gt_.Scalar", {Float{0}}, [](at::Tensor t) { return t.gt_(0); }},
    {"aten::clamp_", {Float{-0.1}, Float{0.1}}, [](at::Tensor t) { return t.clamp_(-0.1, 0.1); }},
};

at::Tensor run(const Builder& b, Ref output, const at::Tensor& x,
               const std::vector<at::Tensor>& constants = {}) {
  Point point{b.build(output), at::zeros({1}, at::kDouble), {x}, constants};
  return runModel(placed(std::move(point), at::kCPU), at::zeros({1}, at::kDouble));
}

at::Tensor numbers() { return randomLike(at::empty({4, 3, 2}, at::kDouble), 1); }

std::string refusal(const Builder& b, Ref output) {
  try {
    b.build(output);
    return "";
  } catch (const Error& error) {
    return std::string(error.code().name()) + ": " + error.what();
  }
}

}  // namespace

TEST_CASE("a change in place is seen by all views, as where memory is shared") {
  for (const Row& written : kViews) {
    for (const Row& change : kChanges) {
      for (const Row& read : kViews) {
        CAPTURE(written.target);
        CAPTURE(change.target);
        CAPTURE(read.target);
        at::Tensor memory = numbers().sin();
        const at::Tensor seen = read.eager(memory);
        const at::Tensor before = memory.clone();
        const at::Tensor result = change.eager(written.eager(memory));

        Builder b;
        b.parameter({1});
        const Ref base = b.call("aten::sin", {b.input()});
        const Ref reader = read.of(b, base);
        const Ref kept = b.call("aten::clone", {base});
        const Ref changed = change.of(b, written.of(b, base));
        CHECK(run(b, reader, numbers()).equal(seen));
        CHECK(run(b, base, numbers()).equal(memory));
        CHECK(run(b, kept, numbers()).equal(before));
        CHECK(run(b, changed, numbers()).equal(result));
      }
    }
  }
}

TEST_CASE("changes through views of views, one after the other") {
  at::Tensor memory = numbers().sin();
  const at::Tensor rows = memory.slice(0, 1, 4);
  rows.transpose(0, 1).select(0, 1).mul_(3);
  memory.select(2, 0).add_(rows.select(0, 0).sum());
  memory.select(1, 2).copy_(rows.select(0, 1).select(0, 0).expand({4, 2}));

  Builder b;
  b.parameter({1});
  const Ref base = b.call("aten::sin", {b.input()});
  const Ref part = b.call("aten::slice.Tensor", {base, 0.0, 1.0, 4.0});
  const Ref row =
      b.call("aten::select.int", {b.call("aten::select.int", {part, 0.0, 1.0}), 0.0, 0.0});
  const Ref older = b.call("aten::expand", {row, List{4, 2}});
  const Ref turned = b.call("aten::transpose.int", {part, 0.0, 1.0});
  b.call("aten::mul_.Scalar", {b.call("aten::select.int", {turned, 0.0, 1.0}), 3.0});
  const Ref sum = b.call("aten::sum", {b.call("aten::select.int", {part, 0.0, 0.0})});
  b.call("aten::add_.Tensor", {b.call("aten::select.int", {base, 2.0, 0.0}), sum});
  // A view that is older than the changes.
  b.call("aten::copy_", {b.call("aten::select.int", {base, 1.0, 2.0}), older});
  CHECK(run(b, base, numbers()).equal(memory));
}

TEST_CASE("memory without values, in parts: NaN where nothing was written") {
  for (const char* put : {"aten::select_scatter", "aten::copy_"}) {
    CAPTURE(put);
    Builder b;
    b.parameter({1});
    const Ref memory = b.call("aten::empty_like", {b.input()});
    const Ref part = b.call("aten::select.int", {b.input(), 1.0, 0.0});
    Ref whole = memory;
    if (std::string(put) == "aten::copy_") {
      b.call(put, {b.call("aten::select.int", {memory, 1.0, 2.0}), part});
    } else {
      whole = b.call(put, {memory, b.call("aten::copy", {part, part}), 1.0, 2.0});
    }
    const at::Tensor found = run(b, whole, numbers());
    CHECK(found.select(1, 2).equal(numbers().select(1, 0)));
    CHECK(found.slice(1, 0, 2).isnan().all().item<bool>());
    CHECK(refusal(b, b.call("aten::sin", {b.call("aten::empty_like", {b.input()})}))
              .find("nothing has written to") != std::string::npos);
  }
}

TEST_CASE("a buffer may change where no run finds what the one before left") {
  const at::Tensor state = randomLike(at::empty({4, 3, 2}, at::kDouble), 2);
  const auto buffer = [&](Builder& b) {
    b.parameter({1});
    return b.constant(state);
  };
  SUBCASE("overwritten as a whole before it is read") {
    Builder b;
    const Ref held = buffer(b);
    b.call("aten::copy_", {held, b.call("aten::sin", {b.input()})});
    b.call("aten::mul_.Scalar", {b.call("aten::select.int", {held, 1.0, 0.0}), 2.0});
    at::Tensor expected = numbers().sin();
    expected.select(1, 0).mul_(2);
    CHECK(run(b, held, numbers(), {state}).equal(expected));
  }
  SUBCASE("changed and never read") {
    Builder b;
    b.call("aten::add_.Scalar", {buffer(b), 1.0});
    CHECK(run(b, b.call("aten::sin", {b.input()}), numbers(), {state}).equal(numbers().sin()));
  }
  const std::string words = "each run would give other numbers";
  SUBCASE("read after a change that depends on it") {
    Builder b;
    const Ref held = buffer(b);
    b.call("aten::add_.Scalar", {held, 1.0});
    CHECK(refusal(b, held).find(words) != std::string::npos);
  }
  SUBCASE("read before a change") {
    Builder b;
    const Ref held = buffer(b);
    const Ref y = b.call("aten::add.Tensor", {held, b.input()});
    b.call("aten::copy_", {held, y});
    CHECK(refusal(b, y).find(words) != std::string::npos);
  }
  SUBCASE("changed in a part") {
    Builder b;
    const Ref held = buffer(b);
    b.call("aten::zero_", {b.call("aten::select.int", {held, 1.0, 0.0})});
    CHECK(refusal(b, held).find(words) != std::string::npos);
  }
}

namespace {

/// Of a parameter [2], an input and two constants; values 0 to 3.
ProgramSpec written(const std::vector<ProgramSpec::Node>& nodes, int64_t output) {
  ProgramSpec spec;
  spec.parameters = {{"w", {2}}};
  spec.constants = {at::ones({2}, at::kDouble), at::ones({2}, at::kDouble)};
  spec.nodes = nodes;
  spec.output = output;
  return spec;
}

}  // namespace

TEST_CASE("a buffer that shares memory with another does not change") {
  ProgramSpec spec = written(
      {{"aten::copy_", {Ref{2}, Ref{1}}, {}}, {"aten::mul.Tensor", {Ref{1}, Ref{3}}, {}}}, 5);
  int64_t output = spec.output;
  CHECK(!functional(spec, output).empty());
  const auto refusal = [&](std::vector<std::vector<int64_t>> sharing) -> std::string {
    spec.sharing = std::move(sharing);
    output = spec.output;
    try {
      functional(spec, output);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const std::string shared = "other values of the model may share";
  CHECK(refusal({{2, 3}}).find(shared) != std::string::npos);
  CHECK(refusal({{0, 2}}).find(shared) != std::string::npos);
  CHECK(refusal({{0, 3}}).empty());  // others that share memory do not matter
  CHECK(refusal({{2, 9}}).find("does not have") != std::string::npos);
}

TEST_CASE("what is written where gradients are off has none") {
  const at::Tensor w = at::ones({2}, at::kDouble).requires_grad_();
  for (const bool differentiated : {true, false}) {
    ProgramSpec::Node write{"aten::copy_", {Ref{5}, Ref{0}}, {}};
    write.differentiated = differentiated;
    const ProgramSpec spec = written({{"aten::zeros_like", {Ref{1}}, {}},
                                      {"aten::select.int", {Ref{4}, 0.0, 0.0}, {}},
                                      write,
                                      {"aten::add.Tensor", {Ref{4}, Ref{0}}, {}}},
                                     7);
    const at::Tensor y = Program(spec).run({w}, {at::ones({1, 2}, at::kDouble)}, spec.constants);
    const at::Tensor gradient = torch::autograd::grad({y.sum()}, {w}).front();
    CHECK(gradient.equal(at::full({2}, differentiated ? 2.0 : 1.0, at::kDouble)));
    CHECK(y.equal(at::full({1, 2}, 2.0, at::kDouble)));
  }
}

TEST_CASE("derivatives of changes through detach are refused where later changes would lose them") {
  for (const bool later : {false, true}) {
    Builder b;
    const Ref w = b.parameter({3, 2});
    const Ref h = b.call("aten::matmul", {b.input(), w});
    const Ref q = b.call("aten::detach", {b.call("aten::mul.Scalar", {h, 2.0})});
    b.call("aten::mul_.Tensor", {q, h});
    if (later) b.call("aten::mul_.Scalar", {b.call("aten::view", {q, List{-1}}), 2.0});
    const std::string refused = refusal(b, b.call("aten::mul.Tensor", {q, q}));
    CHECK(refused.empty() == !later);
    if (later) CHECK(refused.starts_with("ERR_UNSUPPORTED_OP: aten::mul_"));
  }
}
