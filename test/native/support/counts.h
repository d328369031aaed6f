#pragma once

#include <cstdint>
#include <utility>

namespace tc::test {

/// Whether as much is wanted as `.ci/run` wants (test/support/counts.ts), not what a change does.
bool manyWanted();

/// One of the two: what `npm test` tries, and all that CI does.
template <typename T>
T byCounts(T usual, T all) {
  return manyWanted() ? std::move(all) : std::move(usual);
}

/// Of the cases of a grid, numbered as they come, `npm test` tries one of `each`, beginning with
/// the first, CI every one. No length of an inner axis should be a multiple of `each`.
class SomeOf {
 public:
  explicit SomeOf(int64_t each) : each_(manyWanted() ? 1 : each) {}
  bool next() { return count_++ % each_ == 0; }

 private:
  int64_t each_;
  int64_t count_ = 0;
};

}  // namespace tc::test
