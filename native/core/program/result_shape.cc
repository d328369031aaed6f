#include "core/program/result_shape.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <exception>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/program/slots.h"
#include "core/runtime/error.h"
#include "core/runtime/stop.h"

namespace tc {
namespace {

/// Sizes by the names of what varies.
using Sizes = std::map<std::string, int64_t>;

/// Numbers that sizes of layers are unlikely to be, and that are even, as pooling likes them.
Sizes sizesFrom(const Program& program, int64_t rows, int64_t first) {
  Sizes sizes{{"batch", rows}};
  for (const ProgramSpec::Port& input : program.inputs()) {
    for (const auto& axis : input.shape) {
      if (const auto* name = std::get_if<std::string>(&axis))
        sizes.try_emplace(*name, first + 64 * static_cast<int64_t>(sizes.size()));
    }
  }
  return sizes;
}

at::Tensor withoutData(at::IntArrayRef shape, at::ScalarType dtype) {
  return at::empty(shape, at::TensorOptions(at::kMeta).dtype(dtype));
}

/// Elements of the zeros that stand for values, at most.
constexpr int64_t kMostElements = 1 << 22;

/// False where the operator needs data.
bool callWithoutData(const Program::Node& node, const at::Tensor& leading,
                     std::vector<at::Tensor>& values) {
  try {
    Program::call(node, leading, values);
    return true;
  } catch (const c10::NotImplementedError&) {
    return false;
  }
}

/// Runs a node on values without data; an operator that needs some is given zeros.
void call(const Program::Node& node, const at::Tensor& leading, std::vector<at::Tensor>& values) {
  if (callWithoutData(node, leading, values)) return;
  std::vector<at::Tensor> zeros = values;
  int64_t elements = 0;
  for (const Program::Slot& slot : node.slots) {
    forEachValue(slot, [&](int64_t number) {
      at::Tensor& value = zeros[static_cast<size_t>(number)];
      if (!value.defined() || value.is_cpu()) return;
      elements += value.numel();
      if (elements <= kMostElements) value = at::zeros(value.sizes(), value.scalar_type());
    });
  }
  if (elements > kMostElements)
    throw Error("ERR_UNSUPPORTED_OP", "an operator needs more data than are worth it");
  Program::call(node, at::zeros({1}, leading.scalar_type()), zeros);
  for (size_t i = values.size(); i < zeros.size(); ++i)
    values.push_back(withoutData(zeros[i].sizes(), zeros[i].scalar_type()));
}

/// The result for inputs of these sizes, without data.
at::Tensor run(const Program& program, const Sizes& sizes) {
  const c10::NoGradGuard noGradients;
  std::vector<at::Tensor> values;
  for (const Program::Parameter& each : program.parameters())
    values.push_back(withoutData(each.shape, at::kFloat));
  for (const ProgramSpec::Port& input : program.inputs()) {
    std::vector<int64_t> shape;
    for (const auto& axis : input.shape) {
      const auto* name = std::get_if<std::string>(&axis);
      shape.push_back(name == nullptr ? std::get<int64_t>(axis) : sizes.at(*name));
    }
    values.push_back(withoutData(shape, input.dtype.value_or(at::kFloat)));
  }
  for (const at::Tensor& each : program.constants())
    values.push_back(withoutData(each.sizes(), each.scalar_type()));
  const at::Tensor leading = withoutData({1}, at::kFloat);
  for (const Program::Node& node : program.nodes()) call(node, leading, values);
  return values[static_cast<size_t>(program.output())];
}

ProgramSpec::Port::Axis axisOf(const std::pair<Sizes, int64_t>& some,
                               const std::pair<Sizes, int64_t>& others) {
  if (some.second == others.second) return some.second;
  for (const auto& [name, size] : some.first) {
    if (size == some.second && others.first.at(name) == others.second) return name;
  }
  return "any";
}

bool isKnown(const Program& program) {
  for (const ProgramSpec::Port& input : program.inputs()) {
    for (const auto& axis : input.shape) {
      if (axis == ProgramSpec::Port::Axis("...")) return false;
    }
  }
  return true;
}

}  // namespace

ProgramSpec::Port resultShape(const Program& program) {
  ProgramSpec::Port result{"output", {}, {"batch", "..."}};
  if (!isKnown(program)) return result;
  try {
    const Sizes some = sizesFrom(program, /*rows=*/2, 64);
    const Sizes others = sizesFrom(program, /*rows=*/3, 96);
    const at::Tensor y = run(program, some);
    const at::Tensor z = run(program, others);
    if (y.dim() != z.dim()) return result;
    result.dtype = y.scalar_type();
    result.shape.clear();
    for (int64_t axis = 0; axis < y.dim(); ++axis)
      result.shape.push_back(axisOf({some, y.size(axis)}, {others, z.size(axis)}));
  } catch (const std::exception&) {
    StopScope::poll();
  }
  return result;
}

}  // namespace tc
