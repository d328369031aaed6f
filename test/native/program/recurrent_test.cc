#include <string>

#include "core/program/program.h"
#include "core/program/refused_call.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

using Argument = ProgramSpec::Argument;
using Refs = ProgramSpec::Refs;
using Shape = std::vector<int64_t>;

at::Tensor numbers(const Shape& shape) { return randomLike(at::empty(shape, at::kDouble), 1); }

/// What a layer of hidden size 3 for 2 features, or a cell, makes of x: its output, or the code
/// and the message of the error.
struct Layer {
  std::string op;
  std::vector<Shape> states;
  std::vector<Shape> weights;
  std::vector<Argument> options;
  int64_t outputs;
  at::Tensor batchSizes;

  std::string run(const at::Tensor& x) const {
    Builder b;
    b.parameter({1});
    const auto refs = [&](const std::vector<Shape>& shapes) {
      Refs list;
      for (const Shape& shape : shapes) list.values.emplace_back(b.constant(numbers(shape)).value);
      return list;
    };
    const auto single = [&](const Refs& list) {
      return Argument(ProgramSpec::Ref{*list.values.front()});
    };
    const bool cell = op.ends_with("_cell");
    std::vector<Argument> arguments{b.input()};
    if (batchSizes.defined()) arguments.emplace_back(b.constant(batchSizes));
    const Refs given = refs(states);
    arguments.push_back(states.size() == 2 ? Argument(given) : single(given));
    if (cell) {
      for (const Shape& shape : weights) arguments.emplace_back(b.constant(numbers(shape)));
    } else {
      arguments.emplace_back(refs(weights));
    }
    arguments.insert(arguments.end(), options.begin(), options.end());
    const auto program = b.build(b.call(op, arguments, outputs));
    Point point{program, at::zeros({1}, at::kDouble), {x}, {}};
    try {
      const at::Tensor y =
          runModel(placed(std::move(point), at::kCPU), at::zeros({1}, at::kDouble));
      return "";
    } catch (const RefusedCall& error) {
      return std::string(error.code().name()) + ": " + error.what_without_backtrace();
    }
  }
};

Layer layer(const std::string& name) {
  const int64_t gates = name == "lstm" ? 4 : name == "gru" ? 3 : 1;
  Layer result;
  result.op = "aten::" + name + ".input";
  result.states.assign(name == "lstm" ? 2 : 1, Shape{1, 5, 3});
  result.weights = {{3 * gates, 2}, {3 * gates, 3}, {3 * gates}, {3 * gates}};
  result.options = {true, 1.0, 0.0, false, false, true};
  result.outputs = name == "lstm" ? 3 : 2;
  return result;
}

Layer cell(const std::string& name) {
  Layer result = layer(name);
  result.op = "aten::" + name + "_cell";
  for (Shape& state : result.states) state = {5, 3};
  result.options = {};
  result.outputs = name == "lstm" ? 2 : 1;
  return result;
}

void checkRefused(const Layer& layer, const at::Tensor& x, const std::string& words) {
  const std::string error = layer.run(x);
  CAPTURE(error);
  CHECK(error.starts_with("ERR_SHAPE_MISMATCH: "));
  CHECK(error.find(words) != std::string::npos);
}

}  // namespace

TEST_CASE("recurrent layers refuse states and weights whose sizes do not fit") {
  const at::Tensor x = numbers({5, 4, 2});
  for (const std::string name : {"lstm", "gru", "rnn_tanh", "rnn_relu"}) {
    CAPTURE(name);
    const Layer right = layer(name);
    CHECK(right.run(x).empty());
    checkRefused(right, numbers({1, 4, 2}), "should be [1, 1, 3], got [1, 5, 3]");
    checkRefused(right, numbers({6, 4, 2}), "dynamic_shapes");
    checkRefused(right, numbers({5, 4, 3}), "input's weight of layer 0");
    checkRefused(right, numbers({5, 2}), "3 axes");
    for (size_t i = 0; i < right.weights.size(); ++i) {
      CAPTURE(i);
      Layer wrong = right;
      wrong.weights[i][0] += i == 0 ? 2 * 12 : -1;
      checkRefused(wrong, x, "layer 0");
    }
    for (size_t i = 0; i < right.states.size(); ++i) {
      Layer wrong = right;
      wrong.states[i] = {1, 5, 2};
      checkRefused(wrong, x, "[1, 5, 2]");
      wrong.states[i] = {2, 5, 3};
      checkRefused(wrong, x, "[2, 5, 3]");
    }
    Layer few = right;
    few.weights.pop_back();
    if (name != "lstm") checkRefused(few, x, "4 tensors, got 3");
  }
}

TEST_CASE("recurrent layers over packed rows and cells refuse what does not fit") {
  for (const std::string name : {"lstm", "gru", "rnn_tanh", "rnn_relu"}) {
    CAPTURE(name);
    Layer packed = layer(name);
    packed.op = "aten::" + name + ".data";
    packed.options = {true, 1.0, 0.0, false, false};
    packed.batchSizes = at::tensor({5, 3, 1}, at::kLong);
    CHECK(packed.run(numbers({9, 2})).empty());
    checkRefused(packed, numbers({8, 2}), "batch sizes");
    checkRefused(packed, numbers({10, 2}), "9 rows");
    packed.batchSizes = at::tensor({4, 4, 1}, at::kLong);
    checkRefused(packed, numbers({9, 2}), "should be [1, 4, 3], got [1, 5, 3]");

    const Layer right = cell(name);
    CHECK(right.run(numbers({5, 2})).empty());
    checkRefused(right, numbers({4, 2}), "[4, 3]");
    checkRefused(right, numbers({5, 3}), "input's weight");
  }
}
