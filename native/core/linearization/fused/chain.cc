#include "core/linearization/fused/chain.h"

#include <algorithm>

namespace tc::fused {

std::vector<std::pair<int64_t, int64_t>> Chain::parameterRanges() const {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (const Layer& layer : layers) {
    if (!layer.linear) continue;
    const auto& [in, out, weight, bias] = *layer.linear;
    ranges.emplace_back(weight, weight + in * out);
    if (bias) ranges.emplace_back(*bias, *bias + out);
  }
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

bool Chain::sharesParameters() const {
  const auto ranges = parameterRanges();
  return std::adjacent_find(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) {
           return b.first < a.second;
         }) != ranges.end();
}

bool Chain::usesEachOnce(int64_t parameters) const {
  int64_t next = 0;
  for (const auto& [begin, end] : parameterRanges()) {
    if (begin != next) return false;
    next = end;
  }
  return next == parameters;
}

}  // namespace tc::fused
