#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/linearization/linearization.h"
#include "drawn_calls.h"

namespace tc::test {

// `layouts` is how tensors that vary lie in memory: 0 as they are drawn, the first of them.

/// A call as a model of one row, which is all of its result: its numbers are the parameters.
/// Nothing where an argument cannot be one of a model's.
std::optional<Point> wholePoint(const DrawnCall& call, uint64_t layouts);

/// Calls as a model of rows, each on numbers that a layer of the one before moves, the first on
/// such that parameters move. Nothing where values have their rows along another axis than the
/// first, or results have none.
std::optional<Point> pointOfRows(const std::vector<DrawnCall>& calls, uint64_t layouts);

}  // namespace tc::test
