#include "models.h"

#include <torch/csrc/autograd/autograd.h>

#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/program/program.h"
#include "core/program/slots.h"
#include "core/runtime/random.h"

namespace tc::test {
namespace {

using Argument = ProgramSpec::Argument;
using Ref = ProgramSpec::Ref;
using List = std::vector<double>;

at::Tensor normal(at::IntArrayRef shape, uint64_t seed) {
  return Random(seed).normal(shape, 0, 1, at::kDouble);
}

at::Tensor classes(at::IntArrayRef shape, int64_t count, uint64_t seed) {
  return (Random(seed).uniform(shape, 0, 1, at::kDouble) * static_cast<double>(count))
      .floor()
      .to(at::kLong);
}

Model make(const std::string& name, const std::shared_ptr<const Program>& program,
           std::vector<at::Tensor> inputs, const std::string& loss, const at::Tensor& target) {
  Point point{program, normal({program->parameterCount()}, 7) * 0.5, std::move(inputs), {}};
  return {name, placed(std::move(point), at::kCPU), loss, target};
}

Model mlp() {
  Builder b;
  const Ref hidden = b.call("aten::tanh", {b.linear(b.input(), 3, 5)});
  return make("mlp", b.build(b.linear(hidden, 5, 2)), {normal({7, 3}, 1)}, "mse",
              normal({7, 2}, 2));
}

Model scalarOutput() {
  Builder b;
  const Ref hidden = b.call("aten::silu", {b.linear(b.input(), 3, 4)});
  const Ref y = b.call("aten::squeeze.dim", {b.linear(hidden, 4, 1), -1.0});
  return make("output of shape [N]", b.build(y), {normal({7, 3}, 1)}, "bce_with_logits",
              (normal({7}, 2) > 0).to(at::kDouble));
}

Model convolution() {
  Builder b;
  const Ref weight = b.parameter({2, 1, 3, 3});
  const Ref bias = b.parameter({2});
  const Ref z = b.call("aten::conv2d", {b.input(), weight, bias});
  const Ref pooled = b.call("aten::max_pool2d", {b.call("aten::tanh", {z}), List{2, 2}});
  const Ref flat = b.call("aten::flatten.using_ints", {pooled, 1.0});
  return make("convolution and pooling", b.build(b.linear(flat, 8, 3)), {normal({6, 1, 6, 6}, 1)},
              "cross_entropy", classes({6}, 3, 2));
}

Model normalized() {
  Builder b;
  const Ref z = b.linear(b.input(), 3, 4);
  const Ref normed = b.call("aten::layer_norm", {z, List{4}, b.parameter({4}), b.parameter({4})});
  const Ref hidden = b.call("aten::gelu", {normed});
  return make("layer norm and gelu", b.build(b.linear(hidden, 4, 3)), {normal({7, 3}, 1)},
              "cross_entropy", classes({7}, 3, 2).to(at::kInt));
}

Model embedding() {
  Builder b;
  const Ref rows = b.call("aten::embedding", {b.parameter({6, 4}), b.input()});
  const Ref mean = b.call("aten::mean.dim", {rows, List{1}});
  const Ref hidden = b.call("aten::softplus", {mean});
  return make("embedding", b.build(b.linear(hidden, 4, 3)), {classes({8, 5}, 6, 1)},
              "bce_with_logits", (normal({8, 3}, 2) > 0).to(at::kDouble));
}

/// Per-position classes, [N, C, d], with an ignored target.
Model attention() {
  Builder b;
  const Ref q = b.call("aten::unsqueeze", {b.linear(b.input(), 4, 4), 1.0});
  const Ref k = b.call("aten::unsqueeze", {b.linear(b.input(), 4, 4), 1.0});
  const Ref v = b.call("aten::unsqueeze", {b.linear(b.input(), 4, 4), 1.0});
  const Ref mixed = b.call("aten::scaled_dot_product_attention", {q, k, v});
  const Ref logits = b.linear(b.call("aten::squeeze.dim", {mixed, 1.0}), 4, 3);
  at::Tensor target = classes({5, 3}, 3, 2);
  target[1][2] = -100;
  return make("attention", b.build(b.call("aten::transpose.int", {logits, 1.0, 2.0})),
              {normal({5, 3, 4}, 1)}, "cross_entropy", target);
}

/// A softmax inside, a parameter that nothing uses, and two inputs.
Model gated() {
  Builder b(2);
  b.parameter({3});
  const Ref gate = b.call("aten::softmax.int", {b.linear(b.input(0), 3, 2), 1.0});
  const Ref value = b.call("aten::sigmoid", {b.linear(b.input(1), 2, 2)});
  return make("softmax gate, unused parameter, two inputs",
              b.build(b.call("aten::mul.Tensor", {gate, value})),
              {normal({7, 3}, 1), normal({7, 2}, 3)}, "mse", normal({7, 2}, 2));
}

Model recurrent() {
  Builder b;
  ProgramSpec::Refs weights;
  for (const auto& shape : std::vector<std::vector<int64_t>>{{12, 2}, {12, 3}, {12}, {12}})
    weights.values.emplace_back(b.parameter(shape).value);
  using Size = ProgramSpec::Size;
  const ProgramSpec::Sizes state = {{Size::Kind::kConstant, 1, 0, {}},
                                    {Size::Kind::kAxis, Builder::kInput, 0, {}},
                                    {Size::Kind::kConstant, 3, 0, {}}};
  const Ref zeros = b.call("aten::new_zeros", {b.input(), state});
  const ProgramSpec::Refs states{{zeros.value, zeros.value}};
  const Ref y = b.call("aten::lstm.input",
                       {b.input(), states, weights, true, 1.0, 0.0, false, false, true}, 3);
  return make("lstm", b.build(b.linear(b.call("aten::select.int", {y, 1.0, -1.0}), 3, 2)),
              {normal({6, 4, 2}, 1)}, "mse", normal({6, 2}, 2));
}

}  // namespace

Ref Builder::parameter(std::vector<int64_t> shape) {
  const auto index = static_cast<int64_t>(spec_.parameters.size());
  spec_.parameters.push_back({"p" + std::to_string(index), std::move(shape)});
  return {index};
}

Ref Builder::constant(const at::Tensor& data) {
  spec_.constants.push_back(data);
  return {kConstant + static_cast<int64_t>(spec_.constants.size()) - 1};
}

Ref Builder::call(const std::string& target, std::vector<Argument> args, int64_t outputs) {
  spec_.nodes.push_back({target, std::move(args), {}, outputs});
  const Ref first{kNode + values_};
  values_ += outputs;
  return first;
}

Ref Builder::linear(Ref x, int64_t in, int64_t out) {
  const Ref weight = parameter({out, in});
  const Ref bias = parameter({out});
  return call("aten::linear", {x, weight, bias});
}

std::shared_ptr<const Program> Builder::build(Ref output) const {
  ProgramSpec spec = spec_;
  const auto parameters = static_cast<int64_t>(spec.parameters.size());
  const auto inputs = static_cast<int64_t>(spec.inputs.size());
  const auto constants = static_cast<int64_t>(spec.constants.size());
  const auto renumber = [&](int64_t& value) {
    if (value >= kNode) {
      value += parameters + inputs + constants - kNode;
    } else if (value >= kConstant) {
      value += parameters + inputs - kConstant;
    } else if (value >= kInput) {
      value += parameters - kInput;
    }
  };
  for (auto& node : spec.nodes) tc::renumber(node, renumber);
  renumber(output.value);
  spec.output = output.value;
  return std::make_shared<const Program>(spec);
}

std::vector<Model> models() {
  return {mlp(),       scalarOutput(), convolution(), normalized(),
          embedding(), attention(),    gated(),       recurrent()};
}

at::Tensor runModel(const Point& point, const at::Tensor& params) {
  const DifferentiableKernels kernels(*point.program);
  return point.program->run(point.program->unflatten(params), point.inputs, point.constants);
}

Point repeated(Point point, int64_t times) {
  for (at::Tensor& input : point.inputs) {
    auto repeats = std::vector<int64_t>(static_cast<size_t>(input.dim()), 1);
    repeats[0] = times;
    input = input.repeat(repeats);
  }
  return point;
}

at::Tensor jacobianByRows(const Point& point) {
  const at::Tensor params = point.params.detach().clone().requires_grad_();
  const auto outputs = runModel(point, params).reshape({-1}).unbind();
  std::vector<at::Tensor> rows;
  for (const at::Tensor& output : outputs)
    rows.push_back(torch::autograd::grad({output}, {params}, {}, /*retain_graph=*/true)[0]);
  return at::stack(rows);
}

at::Tensor torchLoss(const std::string& name, const at::Tensor& y, const at::Tensor& target,
                     int64_t reduction) {
  if (name == "mse") return at::mse_loss(y, target, reduction);
  if (name == "cross_entropy")
    return at::cross_entropy_loss(y, target.to(at::kLong), {}, reduction);
  return at::binary_cross_entropy_with_logits(y, target, {}, {}, reduction);
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.numel() == 0) return 0;
  return ((a - b).abs().max() / b.abs().max().clamp_min(1e-12)).item<double>();
}

at::Tensor randomLike(const at::Tensor& tensor, uint64_t seed) {
  return Random(seed).normal(tensor.sizes(), 0, 1, tensor.scalar_type());
}

}  // namespace tc::test
