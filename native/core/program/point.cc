#include "core/program/point.h"

#include <ATen/ops/_to_copy.h>

#include "core/program/program.h"
#include "core/runtime/transfer.h"

namespace tc {

Point placed(Point point, c10::Device device) {
  if (!point.params.device().is_cpu() || !device.is_cpu()) {
    point.params = toDevice(point.params, device);
    for (auto& input : point.inputs) input = toDevice(input, device);
  }
  point.constants.clear();
  for (const at::Tensor& constant : point.program->constants()) {
    const auto dtype =
        constant.is_floating_point() ? point.params.scalar_type() : constant.scalar_type();
    point.constants.push_back(constant.to(device, dtype));
  }
  return point;
}

}  // namespace tc
