#pragma once

#include <vector>

#include "core/distributed/process_group.h"
#include "core/operators/linear_operator.h"

namespace tc {

/// Where the rows of one rank are among those of all, one rank's below another's.
struct Stack {
  std::vector<int64_t> outputShape;  ///< of all ranks, [N, …]: one row for each of its elements
  int64_t before = 0;                ///< of the N, those of the ranks before this one
  /// √w of each of the N, [N]: what the rows are multiplied by, whose mean is then subtracted, as
  /// `jacobian` does. Undefined for rows as they are.
  at::Tensor roots;
};

/// The operator whose rows are those of all ranks, where `own` has this rank's: the same on every
/// rank, with the same bits in every product. A product with columns takes one sum over the ranks
/// of as many numbers as there are rows, one with rows one of as many as there are columns; vectors
/// over the rows are those of all ranks. Throws Error ERR_SHAPE_MISMATCH where `own` has other rows
/// than the stack has room for; its products throw as `ProcessGroup::sum`.
OperatorPtr stacked(const OperatorPtr& own, Stack stack, const ProcessGroupPtr& group);

}  // namespace tc
