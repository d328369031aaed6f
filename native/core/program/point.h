#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/runtime/stop.h"

namespace tc {

class Program;

/// A program at its parameters, with the data: what every product is taken at. All tensors share
/// one device; the floating ones share the precision of `params`.
struct Point {
  std::shared_ptr<const Program> program;
  at::Tensor params;               ///< flat, [P]
  std::vector<at::Tensor> inputs;  ///< the first axis of each is the batch
  std::vector<at::Tensor> constants;

  int64_t batch() const { return inputs.front().size(0); }
};

/// `point` moved to `device`, with the program's constants in the precision of its parameters.
/// Throws Error ERR_DEVICE_UNAVAILABLE.
Point placed(Point point, c10::Device device);

/// The inputs restricted to rows [begin, end).
inline std::vector<at::Tensor> rows(const std::vector<at::Tensor>& inputs, int64_t begin,
                                    int64_t end) {
  std::vector<at::Tensor> part;
  part.reserve(inputs.size());
  for (const at::Tensor& input : inputs) part.push_back(input.narrow(0, begin, end - begin));
  return part;
}

/// Calls `body(begin, end)` for consecutive chunks of the batch, the last of which may be shorter,
/// and looks at the stop token between them. `chunkSize` 0 means all rows at once.
template <typename Body>
void forEachChunk(int64_t batch, int64_t chunkSize, const StopToken& stop, Body&& body) {
  if (chunkSize <= 0) chunkSize = batch;
  stop.poll();
  for (int64_t begin = 0; begin < batch; begin += chunkSize) {
    body(begin, std::min(batch, begin + chunkSize));
    stop.poll();
  }
}

}  // namespace tc
