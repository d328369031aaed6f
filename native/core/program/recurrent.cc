#include "core/program/recurrent.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/losses/loss.h"
#include "core/program/refused_call.h"

namespace tc {
namespace {

using Shape = std::vector<int64_t>;

[[noreturn]] void mismatch(const std::string& what, const std::string& expected,
                           const std::string& got, const std::string& advice = "") {
  throw RefusedCall("ERR_SHAPE_MISMATCH",
                    what + " should be " + expected + ", got " + got + advice);
}

void require(const std::string& what, const at::Tensor& tensor, const Shape& shape,
             const std::string& advice = "") {
  if (!tensor.defined() || tensor.sizes() != at::IntArrayRef(shape)) {
    mismatch(what, describeShape(shape), tensor.defined() ? describeShape(tensor.sizes()) : "none",
             advice);
  }
}

void requireRank(const std::string& what, const at::Tensor& tensor, int64_t rank) {
  if (tensor.dim() != rank)
    mismatch(what, "of " + std::to_string(rank) + " axes", describeShape(tensor.sizes()));
}

/// The weights of one layer in one direction. `gates` is how many blocks of hidden units they have.
struct Weights {
  at::Tensor input;      ///< [gates · hidden, features]
  at::Tensor hidden;     ///< [gates · hidden, state]
  at::Tensor biases[2];  ///< [gates · hidden] each, or none
  at::Tensor projected;  ///< [state, hidden] of an LSTM with a projection, or none

  /// How many hidden units there are.
  int64_t check(const std::string& name, int64_t gates, int64_t features) const {
    requireRank("the input's weight of " + name, input, 2);
    requireRank("the state's weight of " + name, hidden, 2);
    const int64_t rows = input.size(0);
    if (rows % gates != 0) {
      mismatch("the input's weight of " + name, "a multiple of " + std::to_string(gates) + " rows",
               describeShape(input.sizes()));
    }
    const int64_t units = rows / gates;
    require("the input's weight of " + name, input, {rows, features});
    if (projected.defined()) requireRank("the projection of " + name, projected, 2);
    const int64_t state = projected.defined() ? projected.size(0) : units;
    require("the state's weight of " + name, hidden, {rows, state});
    for (const at::Tensor& bias : biases) {
      if (bias.defined()) require("a bias of " + name, bias, {rows});
    }
    if (projected.defined()) require("the projection of " + name, projected, {state, units});
    return units;
  }
  int64_t state() const { return hidden.size(1); }
};

struct Kind {
  int64_t gates;
  bool cell;  ///< has a second state, the cell's
};

constexpr std::string_view kAdvice =
    "; make the states from the input's own batch size, or export the model with a dynamic batch: "
    "torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim('batch')},))";

std::vector<at::Tensor> statesOf(const c10::IValue& value, const std::string& name, Kind kind) {
  std::vector<at::Tensor> states =
      kind.cell ? value.toTensorVector() : std::vector<at::Tensor>{value.toTensor()};
  if (states.size() != (kind.cell ? 2 : 1))
    mismatch("the states of " + name, "two", std::to_string(states.size()));
  return states;
}

/// What all layers have after their input (and batch sizes) and states.
struct Layers {
  std::vector<at::Tensor> weights;
  bool biases;
  int64_t layers;
  int64_t directions;

  /// From `at` on: params, has_biases, num_layers, dropout, train, bidirectional.
  Layers(const torch::jit::Stack& arguments, size_t at)
      : weights(arguments[at].toTensorVector()),
        biases(arguments[at + 1].toBool()),
        layers(arguments[at + 2].toInt()),
        directions(arguments[at + 5].toBool() ? 2 : 1) {}

  void check(const std::string& name, Kind kind, int64_t features, int64_t batch,
             const std::vector<at::Tensor>& states) const {
    const auto plain = static_cast<size_t>(biases ? 4 : 2);
    const auto cells = static_cast<size_t>(std::max<int64_t>(layers, 0) * directions);
    const bool projects = kind.cell && cells > 0 && weights.size() == cells * (plain + 1);
    const size_t each = plain + (projects ? 1 : 0);
    if (cells == 0 || weights.size() != cells * each) {
      mismatch("the weights of " + name, std::to_string(cells * plain) + " tensors",
               std::to_string(weights.size()));
    }
    int64_t units = 0;
    int64_t state = 0;
    for (size_t i = 0; i < cells; ++i) {
      const at::Tensor* w = &weights[i * each];
      const Weights one{w[0],
                        w[1],
                        {biases ? w[2] : at::Tensor(), biases ? w[3] : at::Tensor()},
                        projects ? w[each - 1] : at::Tensor()};
      const std::string layer = "layer " + std::to_string(static_cast<int64_t>(i) / directions);
      const bool first = i < static_cast<size_t>(directions);
      const int64_t here =
          one.check(layer + " of " + name, kind.gates, first ? features : state * directions);
      if (i > 0 && (here != units || one.state() != state)) {
        mismatch(layer + " of " + name, "of " + std::to_string(units) + " hidden units",
                 std::to_string(here));
      }
      units = here;
      state = one.state();
    }
    const auto count = static_cast<int64_t>(cells);
    require("the initial state of " + name, states[0], {count, batch, state}, std::string(kAdvice));
    if (kind.cell) {
      require("the initial cell state of " + name, states[1], {count, batch, units},
              std::string(kAdvice));
    }
  }
};

/// lstm.input(input, hx, params, has_biases, num_layers, dropout, train, bidirectional,
/// batch_first), and the same of the others
template <int64_t Gates, bool Cell>
void checkPadded(const torch::jit::Stack& arguments) {
  constexpr Kind kKind{Gates, Cell};
  const std::string name = Cell ? "the LSTM" : Gates == 3 ? "the GRU" : "the RNN";
  const at::Tensor x = arguments[0].toTensor();
  requireRank("the input of " + name, x, 3);
  const bool batchFirst = arguments[8].toBool();
  Layers(arguments, 2)
      .check(name, kKind, x.size(2), x.size(batchFirst ? 0 : 1),
             statesOf(arguments[1], name, kKind));
}

/// lstm.data(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional)
template <int64_t Gates, bool Cell>
void checkPacked(const torch::jit::Stack& arguments) {
  constexpr Kind kKind{Gates, Cell};
  const std::string name = Cell ? "the LSTM" : Gates == 3 ? "the GRU" : "the RNN";
  const at::Tensor data = arguments[0].toTensor();
  const at::Tensor sizes = arguments[1].toTensor();
  requireRank("the packed input of " + name, data, 2);
  if (sizes.dim() != 1 || sizes.numel() == 0 || sizes.scalar_type() != at::kLong ||
      !sizes.device().is_cpu()) {
    mismatch("the batch sizes of " + name, "a list of whole numbers on the CPU",
             describeShape(sizes.sizes()));
  }
  const at::Tensor list = sizes.contiguous();
  const int64_t* each = list.const_data_ptr<int64_t>();
  int64_t total = 0;
  for (int64_t i = 0; i < list.numel(); ++i) {
    const bool falls = each[i] >= 1 && each[i] <= (i == 0 ? data.size(0) : each[i - 1]);
    if (!falls || total > data.size(0) - each[i]) {
      mismatch("the batch sizes of " + name, "positive, falling, and as many rows as the input has",
               std::to_string(each[i]) + " in step " + std::to_string(i));
    }
    total += each[i];
  }
  if (total != data.size(0)) {
    mismatch("the packed input of " + name, std::to_string(total) + " rows",
             std::to_string(data.size(0)));
  }
  Layers(arguments, 3)
      .check(name, kKind, data.size(1), each[0], statesOf(arguments[2], name, kKind));
}

/// lstm_cell(input, hx, w_ih, w_hh, b_ih, b_hh), and the same of the others
template <int64_t Gates, bool Cell>
void checkCell(const torch::jit::Stack& arguments) {
  constexpr Kind kKind{Gates, Cell};
  const std::string name = Cell ? "the LSTM cell" : Gates == 3 ? "the GRU cell" : "the RNN cell";
  const at::Tensor x = arguments[0].toTensor();
  requireRank("the input of " + name, x, 2);
  const auto bias = [&](size_t i) {
    return arguments[i].isTensor() ? arguments[i].toTensor() : at::Tensor();
  };
  const Weights weights{
      arguments[2].toTensor(), arguments[3].toTensor(), {bias(4), bias(5)}, at::Tensor()};
  const int64_t units = weights.check(name, Gates, x.size(1));
  for (const at::Tensor& state : statesOf(arguments[1], name, kKind))
    require("the state of " + name, state, {x.size(0), units}, std::string(kAdvice));
}

template <int64_t Gates, bool Cell>
void check(std::string_view kind, std::string_view overload, const torch::jit::Stack& arguments) {
  if (kind == "_cell") checkCell<Gates, Cell>(arguments);
  if (!kind.empty()) return;
  if (overload == "input") checkPadded<Gates, Cell>(arguments);
  if (overload == "data") checkPacked<Gates, Cell>(arguments);
}

}  // namespace

void checkRecurrent(const c10::FunctionSchema& schema, const torch::jit::Stack& arguments) {
  const std::string_view name = schema.name();
  const std::string_view overload = schema.overload_name();
  const auto after = [&](std::string_view start) { return name.substr(start.size()); };
  if (name.starts_with("aten::lstm"))
    return check<4, true>(after("aten::lstm"), overload, arguments);
  if (name.starts_with("aten::gru"))
    return check<3, false>(after("aten::gru"), overload, arguments);
  for (const std::string_view plain : {"aten::rnn_tanh", "aten::rnn_relu"}) {
    if (name.starts_with(plain)) check<1, false>(after(plain), overload, arguments);
  }
}

}  // namespace tc
