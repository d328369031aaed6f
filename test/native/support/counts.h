#pragma once

#include <utility>

namespace tc::test {

/// Whether as much is wanted as `.ci/run` wants (test/support/counts.ts), not what a change does.
bool manyWanted();

/// One of the two: what `npm test` tries, and all that CI does.
template <typename T>
T byCounts(T usual, T all) {
  return manyWanted() ? std::move(all) : std::move(usual);
}

}  // namespace tc::test
