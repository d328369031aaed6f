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
  std::vector<at::Tensor> inputs;  ///< the first axis of each that has rows is the batch
  std::vector<at::Tensor> constants;
  /// Which inputs have no rows, so that they are the same for all of them; empty: all have rows.
  std::vector<bool> shared = {};

  bool hasRows(size_t input) const { return input >= shared.size() || !shared[input]; }
  /// The first input that has rows.
  const at::Tensor& x() const {
    size_t first = 0;
    while (!hasRows(first)) ++first;
    return inputs[first];
  }
  int64_t batch() const { return x().size(0); }
};

/// `point` moved to `device`, with the program's constants in the precision of its parameters.
/// Throws Error ERR_DEVICE_UNAVAILABLE.
Point placed(Point point, c10::Device device);

/// The inputs for rows [begin, end): those that have none are whole.
inline std::vector<at::Tensor> rows(const Point& point, int64_t begin, int64_t end) {
  std::vector<at::Tensor> part = point.inputs;
  for (size_t i = 0; i < part.size(); ++i) {
    if (point.hasRows(i)) part[i] = part[i].narrow(0, begin, end - begin);
  }
  return part;
}

/// The point with rows [begin, end) of its batch alone.
inline Point withRows(Point point, int64_t begin, int64_t end) {
  if (begin > 0 || end < point.batch()) point.inputs = rows(point, begin, end);
  return point;
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
