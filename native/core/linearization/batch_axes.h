#pragma once

#include <cstdint>
#include <vector>

#include "core/program/point.h"
#include "core/program/program.h"

namespace tc {

/// The axis of a value that holds the rows, or one of the constants in batch_axes.cc. Others may be
/// merged with it: its element (o · rows + r) · inner + i, for o < outer and i < inner, is of row
/// r, as heads are that attention takes for more rows.
struct RowAxis {
  int64_t axis;
  int64_t outer = 1;
  int64_t inner = 1;

  bool operator==(const RowAxis&) const = default;
};

/// Follows the batch through one run of a program, as its observer: which axis of each value holds
/// the rows, where row i of the value comes from row i of the inputs alone. Operators without a
/// rule here are taken to mix the rows.
///
/// What one run shows holds for its number of rows: a size in the program may happen to be that
/// number. Two runs of different numbers that agree leave no such chance.
class BatchAxes {
 public:
  /// The inputs of `point` that have rows have `rows` of them, a number that other sizes are
  /// unlikely to have.
  BatchAxes(const Point& point, int64_t rows);
  /// Of values that there are, before any node.
  BatchAxes(std::vector<RowAxis> values, int64_t rows);

  void observe(const Program::Node& node, const torch::jit::Stack& arguments,
               const std::vector<at::Tensor>& values);

  /// Of a value; its axis is negative where it has no rows, or where they meet.
  const RowAxis& of(int64_t value) const { return axes_[static_cast<size_t>(value)]; }
  /// Whether the rows of a value are its first axis.
  bool leads(int64_t value) const { return of(value) == RowAxis{0}; }

 private:
  int64_t rows_;
  std::vector<RowAxis> axes_;  ///< by value number
};

}  // namespace tc
