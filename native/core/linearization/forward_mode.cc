#include "core/linearization/forward_mode.h"

#include <ATen/ops/_make_dual.h>
#include <ATen/ops/_unpack_dual.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <string_view>
#include <variant>

#include "core/dual_level.h"
#include "core/linearization/kernels.h"

namespace tc {

bool forwardModeAgrees(const Program& program) {
  constexpr size_t kPaddingIdx = 2;
  return std::ranges::none_of(program.nodes(), [](const Program::Node& node) {
    if (node.op.schema().name() != "aten::embedding") return false;
    const auto* padding = std::get_if<c10::IValue>(&node.slots[kPaddingIdx]);
    return padding != nullptr && padding->isInt() && padding->toInt() >= 0;
  });
}

bool forwardModeIsCheaper(const Program& program) {
  return std::ranges::any_of(program.nodes(), [](const Program::Node& node) {
    const std::string_view name = node.op.schema().name();
    return name.starts_with("aten::conv") || name == "aten::_convolution";
  });
}

at::Tensor pushForward(const Point& point, const std::vector<at::Tensor>& tangents) {
  const c10::NoGradGuard noGradients;
  const DualLevel level;
  std::vector<at::Tensor> duals = point.program->unflatten(point.params.detach());
  for (size_t i = 0; i < duals.size(); ++i)
    duals[i] = at::_make_dual(duals[i], tangents[i], level.index());
  const DifferentiableKernels kernels(*point.program);
  const at::Tensor y = point.program->run(duals, point.inputs, point.constants);
  return std::get<1>(at::_unpack_dual(y, level.index()));
}

}  // namespace tc
