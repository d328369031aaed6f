#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "core/program/point.h"
#include "core/runtime/stop.h"

namespace tc {

/// The rows of a point dealt out to the cores. Operators on a core's own rows need no other core:
/// where operators are short, cores that share each of them mostly wait for one another. All rows
/// are one part, whose operators the cores share, where `coresByRows` says so (row_work.h).
class RowsOnCores {
 public:
  explicit RowsOnCores(Point point);
  /// In `parts` parts, whether or not that pays; the rows should be independent.
  RowsOnCores(Point point, int64_t parts);

  const Point& point() const { return point_; }
  size_t size() const { return static_cast<size_t>(parts_); }
  int64_t begin(size_t part) const { return start(static_cast<int64_t>(part)); }
  int64_t end(size_t part) const { return start(static_cast<int64_t>(part) + 1); }
  /// The point with the rows of one part.
  Point part(size_t index) const;
  /// Of a tensor whose first axis is the batch.
  at::Tensor rowsOf(const at::Tensor& tensor, size_t part) const {
    return tensor.narrow(0, begin(part), end(part) - begin(part));
  }

  /// Calls `body` with the number of each part, at once and each on a core of its own, in the
  /// calling thread's state of libtorch (modes, profiles) and within a StopScope. Throws what one
  /// of them threw.
  void each(const StopToken& stop, const std::function<void(size_t part)>& body) const;
  /// The sum of what `body` makes for each part: tensors of one shape that it gives away.
  at::Tensor sum(const StopToken& stop, const std::function<at::Tensor(size_t part)>& body) const;
  /// What `body` makes for each part, one row for each row of it, as the rows of one tensor.
  at::Tensor joined(const StopToken& stop,
                    const std::function<at::Tensor(size_t part)>& body) const;

 private:
  int64_t start(int64_t part) const { return point_.batch() * part / parts_; }

  Point point_;
  int64_t parts_;
};

}  // namespace tc
