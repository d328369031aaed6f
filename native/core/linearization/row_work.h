#pragma once

#include <cstdint>

#include "core/program/point.h"

// What a row of the batch costs, as a few rows show; found once for each program and shape of row.

namespace tc {

/// Rows that libtorch's operators take at once, so that each is done in some hundredths of a second
/// and their values fit a gigabyte; but not so few that gradients by the parameters are mostly
/// written and added up. The whole batch where nothing is known of the program.
int64_t rowsWithinWork(const Point& point);

/// Cores that should compute rows of their own, each all operators of them; 1 where they had better
/// share the operators: where rows may depend on one another, are few, or cost little beside the
/// gradients by the parameters, which each core then has.
int64_t coresByRows(const Point& point);

/// Whether the rows are known to be independent of one another whatever the numbers: of a chain,
/// and where the rules of BatchAxes tell.
bool hasSeparateRows(const Point& point);

}  // namespace tc
