#include "core/program/point.h"

#include "core/program/program.h"
#include "core/runtime/transfer.h"

namespace tc {

Point placed(Point point, c10::Device device) {
  if (!point.params.device().is_cpu() || !device.is_cpu()) {
    point.params = toDevice(point.params, device);
    for (auto& input : point.inputs) input = toDevice(input, device);
  }
  point.constants = point.program->constantsIn(point.params.scalar_type(), device);
  return point;
}

}  // namespace tc
