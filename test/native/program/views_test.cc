#include "core/program/views.h"

#include <string>
#include <vector>

#include "core/program/schema.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

using Argument = ProgramSpec::Argument;
using List = std::vector<double>;
using Node = ProgramSpec::Node;
using Ref = ProgramSpec::Ref;

/// Views of a base [4, 3, 2]; the first argument is put in front.
struct Row {
  std::string target;
  std::vector<Argument> args;
};

const std::vector<Row> kViews = {
    {"aten::select.int", {1.0, 0.0}},
    {"aten::select.int", {1.0, 1.0}},
    {"aten::select.int", {-1.0, -1.0}},
    {"aten::slice.Tensor", {1.0, 1.0, 3.0}},
    {"aten::slice.Tensor", {0.0, std::monostate{}, -1.0}},
    {"aten::slice.Tensor", {0.0, 1.0, 4.0, 2.0}},
    {"aten::slice.Tensor", {-1.0, 0.0, 100.0}},
    {"aten::diagonal", {0.0, 1.0, 2.0}},
    {"aten::diagonal", {-1.0, 0.0, 2.0}},
    {"aten::transpose.int", {0.0, -1.0}},
    {"aten::mT", {}},
    {"aten::permute", {List{2, 0, 1}}},
    {"aten::permute", {List{-1, -3, -2}}},
    {"aten::movedim.int", {0.0, 2.0}},
    {"aten::view", {List{4, 6}}},
    {"aten::reshape", {List{-1}}},
    {"aten::flatten.using_ints", {1.0, 2.0}},
    {"aten::unsqueeze", {1.0}},
    {"aten::alias", {}},
    {"aten::detach", {}},
};

Node nodeOf(const Row& row, Ref base) {
  std::vector<Argument> args{base};
  args.insert(args.end(), row.args.begin(), row.args.end());
  return {row.target, args, {}, 1, {}};
}

/// A program of a base and of two parts that stand in the place of its view.
struct Lens {
  Builder b{3};
  Node view;

  explicit Lens(const Row& row) : view(nodeOf(row, b.input())) { b.parameter({1}); }
  Emit emit() {
    return [this](const Node& node) { return b.call(node.target, node.args, node.outputs).value; };
  }
  int64_t get(int64_t base) { return viewOf(view, base, emit()); }
  int64_t put(int64_t base, int64_t part) {
    const auto result = putBack(view, base, part, /*differentiated=*/false, emit());
    REQUIRE(result.has_value());
    return *result;
  }
  at::Tensor run(int64_t output, const std::vector<at::Tensor>& inputs) const {
    Point point{b.build({output}), at::zeros({1}, at::kDouble), inputs, {}};
    return runModel(placed(std::move(point), at::kCPU), at::zeros({1}, at::kDouble));
  }
};

}  // namespace

TEST_CASE("what is put in the place of a view obeys the laws of lenses") {
  const at::Tensor base = randomLike(at::empty({4, 3, 2}, at::kDouble), 1);
  for (const Row& row : kViews) {
    CAPTURE(row.target);
    const auto is = [&](const at::Tensor& expected, const std::vector<at::Tensor>& inputs,
                        auto&& of) {
      Lens lens(row);
      const at::Tensor found = lens.run(of(lens), inputs);
      CHECK(found.sizes() == expected.sizes());
      CHECK(found.equal(expected));
    };
    constexpr int64_t x = Builder::kInput;
    constexpr int64_t part = Builder::kInput + 1;
    constexpr int64_t other = Builder::kInput + 2;
    Lens getter(row);
    const at::Tensor seen = getter.run(getter.get(x), {base, base, base});
    const std::vector<at::Tensor> inputs{base, randomLike(seen, 2), randomLike(seen, 3)};
    // What is there put back changes nothing; what was put is there; the last one stays.
    is(base, inputs, [&](Lens& lens) { return lens.put(x, lens.get(x)); });
    is(inputs[1], inputs, [&](Lens& lens) { return lens.get(lens.put(x, part)); });
    Lens once(row);
    const at::Tensor last = once.run(once.put(x, other), inputs);
    is(last, inputs, [&](Lens& lens) { return lens.put(lens.put(x, part), other); });
    // Nothing else is changed: as many elements differ as the view has.
    CHECK(last.ne(base).sum().item<int64_t>() == seen.numel());
  }
}

TEST_CASE("no way leads back from expanded axes") {
  Lens lens({"aten::expand", {List{2, 4, 3, 2}}});
  CHECK(!putBack(lens.view, Builder::kInput, Builder::kInput + 1, false, lens.emit()));
}

TEST_CASE("each element of a list of views is a view of its own") {
  const at::Tensor base = randomLike(at::empty({4, 3, 2}, at::kDouble), 1);
  const std::vector<std::pair<Row, std::vector<at::Tensor>>> lists = {
      {{"aten::unbind.int", {1.0}}, base.unbind(1)},
      {{"aten::split.Tensor", {3.0, 0.0}}, base.split(3, 0)},
      {{"aten::split_with_sizes", {List{1, 2}, 1.0}}, base.split_with_sizes({1, 2}, 1)},
      {{"aten::chunk", {3.0, 0.0}}, base.chunk(3, 0)},
  };
  for (const auto& [row, expected] : lists) {
    CAPTURE(row.target);
    for (size_t i = 0; i < expected.size(); ++i) {
      Lens lens(row);
      const auto single = singleView(lens.view, findOperator(row.target), static_cast<int64_t>(i));
      REQUIRE(single.has_value());
      CHECK(lens.run(viewOf(*single, Builder::kInput, lens.emit()), {base, base, base})
                .equal(expected[i]));
    }
  }
}
