#include "fused_programs.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "core/linearization/autograd/dual_level.h"
#include "core/program/program.h"

namespace tc::testing {

using Ref = ProgramSpec::Ref;

int64_t ProgramBuilder::parameter(std::vector<int64_t> shape) {
  const auto number = static_cast<int64_t>(spec_.parameters.size());
  spec_.parameters.push_back({"p" + std::to_string(number), std::move(shape)});
  return number;
}

int64_t ProgramBuilder::call(const std::string& target, std::vector<Argument> arguments) {
  spec_.nodes.push_back({target, std::move(arguments), {}, 1});
  return kInput + static_cast<int64_t>(spec_.nodes.size());
}

int64_t ProgramBuilder::linear(int64_t value, int64_t in, int64_t out, bool bias) {
  const int64_t weight = parameter({out, in});
  if (!bias) return call("aten::linear", {Ref{value}, Ref{weight}});
  return call("aten::linear", {Ref{value}, Ref{weight}, Ref{parameter({out})}});
}

std::shared_ptr<const Program> ProgramBuilder::build(int64_t output) const {
  ProgramSpec spec = spec_;
  const auto final = [&](int64_t value) {
    return value < kInput ? value : value - kInput + static_cast<int64_t>(spec.parameters.size());
  };
  for (auto& node : spec.nodes) {
    for (auto& argument : node.args) {
      if (auto* ref = std::get_if<Ref>(&argument)) ref->value = final(ref->value);
    }
  }
  spec.output = final(output);
  return std::make_shared<Program>(spec);
}

const std::vector<ActivationCall>& activations() {
  static const std::vector<ActivationCall> all = {
      {"aten::tanh", {}},          {"aten::relu", {}},
      {"aten::gelu", {}},          {"aten::gelu", {std::string("tanh")}},
      {"aten::silu", {}},          {"aten::sigmoid", {}},
      {"aten::softplus", {}},      {"aten::softplus", {2.5, 1.5}},
      {"aten::elu", {}},           {"aten::elu", {0.7, 1.3, 0.9}},
      {"aten::leaky_relu", {0.2}}, {"aten::leaky_relu", {}},
  };
  return all;
}

namespace {

int64_t pick(std::mt19937& random, int64_t count) {
  return static_cast<int64_t>(random() % static_cast<uint32_t>(count));
}

/// Some layers from `value` of `width` on; returns the last value and changes `width`.
int64_t randomPart(ProgramBuilder& builder, std::mt19937& random, int64_t value, int64_t& width,
                   int64_t layers, int64_t depth) {
  static const std::vector<int64_t> widths = {1,  2,  3,  4,  5,  7,  8,  15,
                                              16, 17, 31, 33, 48, 63, 64, 65};
  for (int64_t layer = 0; layer < layers; ++layer) {
    switch (pick(random, depth < 2 ? 6 : 4)) {
      case 0:
      case 1:
      case 2: {
        const int64_t out = widths[static_cast<size_t>(pick(random, widths.size()))];
        value = builder.linear(value, width, out, pick(random, 4) != 0);
        width = out;
        break;
      }
      case 3: {
        const auto& activation = activations()[static_cast<size_t>(
            pick(random, static_cast<int64_t>(activations().size())))];
        std::vector<ProgramBuilder::Argument> arguments{Ref{value}};
        arguments.insert(arguments.end(), activation.arguments.begin(), activation.arguments.end());
        value = builder.call(activation.target, arguments);
        break;
      }
      default: {
        const int64_t before = value;
        const int64_t outer = width;
        value = randomPart(builder, random, value, width, 1 + pick(random, 3), depth + 1);
        if (width != outer) value = builder.linear(value, width, outer);
        width = outer;
        const bool bodyFirst = pick(random, 2) == 0;
        value = builder.call("aten::add.Tensor",
                             {Ref{bodyFirst ? value : before}, Ref{bodyFirst ? before : value}});
        break;
      }
    }
  }
  return value;
}

}  // namespace

std::shared_ptr<const Program> randomChain(std::mt19937& random) {
  ProgramBuilder builder;
  const int64_t in = 1 + pick(random, 9);
  int64_t width = 1 + pick(random, 40);
  int64_t value = builder.linear(builder.input(), in, width);
  value = randomPart(builder, random, value, width, 1 + pick(random, 5), 0);
  if (pick(random, 3) != 0) {
    const int64_t out = pick(random, 2) == 0 ? 1 : 1 + pick(random, 11);
    value = builder.linear(value, width, out);
    if (out == 1 && pick(random, 2) == 0)
      value = builder.call("aten::squeeze.dim", {Ref{value}, -1.0});
  }
  return builder.build(value);
}

Point randomPoint(std::shared_ptr<const Program> program, int64_t batch, int64_t width,
                  at::ScalarType dtype, std::mt19937& random, double gain) {
  at::manual_seed(random());
  const auto options = at::TensorOptions(dtype);
  const at::Tensor params = at::rand({program->parameterCount()}, options) * 2 - 1;
  for (const auto& parameter : program->parameters()) {
    const double fan = parameter.shape.size() == 2 ? static_cast<double>(parameter.shape[1]) : 4;
    params.narrow(0, parameter.offset, parameter.length).mul_(gain / std::sqrt(fan));
  }
  return {std::move(program), params, {at::randn({batch, width}, options)}, {}};
}

Point inDouble(const Point& point) {
  Point result = point;
  result.params = point.params.to(at::kDouble);
  for (auto& input : result.inputs) input = input.to(at::kDouble);
  return result;
}

double relativeError(const at::Tensor& a, const at::Tensor& b) {
  const double difference = (a.to(at::kDouble) - b.to(at::kDouble)).norm().item<double>();
  const double size = b.to(at::kDouble).norm().item<double>();
  return difference == 0 && size == 0 ? 0 : difference / size;
}

at::Tensor referenceJvp(const Point& point, const at::Tensor& v) {
  const DualLevel level;
  const auto tangents = point.program->unflatten(v);
  auto duals = point.program->unflatten(point.params);
  for (size_t i = 0; i < duals.size(); ++i) {
    duals[i] = at::_make_dual(duals[i], tangents[i], level.index());
  }
  const at::Tensor y = point.program->run(duals, point.inputs, point.constants);
  return std::get<1>(at::_unpack_dual(y, level.index())).clone();
}

at::Tensor referenceVjp(const Point& point, const at::Tensor& u) {
  const at::Tensor params = point.params.detach().clone().requires_grad_();
  const at::Tensor y =
      point.program->run(point.program->unflatten(params), point.inputs, point.constants);
  return torch::autograd::grad({y}, {params}, {u})[0];
}

int64_t inputWidth(const Program& program) { return program.parameters().front().shape.back(); }

}  // namespace tc::testing
