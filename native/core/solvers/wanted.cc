#include "core/solvers/wanted.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tc {

at::Tensor wantedFirst(const at::Tensor& values, Which which) {
  switch (which) {
    case Which::kLargestMagnitude:
      return values.abs().argsort(/*dim=*/0, /*descending=*/true);
    case Which::kSmallestMagnitude:
      return values.abs().argsort(/*dim=*/0, /*descending=*/false);
    case Which::kLargest:
      return values.argsort(/*dim=*/0, /*descending=*/true);
    case Which::kSmallest:
      return values.argsort(/*dim=*/0, /*descending=*/false);
    case Which::kBothEnds:
      break;
  }
  // From the outside in, the high end first.
  std::vector<int64_t> positions;
  for (int64_t low = 0, high = values.numel() - 1; low <= high; ++low, --high) {
    positions.push_back(high);
    if (low < high) positions.push_back(low);
  }
  return at::tensor(positions, at::kLong);
}

at::Tensor wantedNearFirst(const at::Tensor& values, double sigma, Which which) {
  // Every sigma beyond the values puts them in the same order: a near one loses no digit of them.
  const double low = values[0].item<double>();
  const double high = values[-1].item<double>();
  const double near = std::clamp(sigma, low - (high - low), high + (high - low));
  const auto [inverses, positions] = (values - near).reciprocal().sort();
  return positions.index_select(0, wantedFirst(inverses, which));
}

std::vector<Rival> rivalsOf(const at::Tensor& values, const at::Tensor& order, int64_t k,
                            Which which) {
  const auto* value = values.const_data_ptr<double>();
  const auto* position = order.const_data_ptr<int64_t>();
  int64_t low = values.numel();
  int64_t high = -1;
  for (int64_t i = k; i < values.numel(); ++i) {
    low = std::min(low, position[i]);
    high = std::max(high, position[i]);
  }
  if (high < 0) return {};
  // How far in the wanted ones reach, from the top and from the bottom.
  constexpr double kNever = std::numeric_limits<double>::infinity();
  double fromTop = kNever;
  double fromBottom = -kNever;
  for (int64_t i = 0; i < k; ++i) {
    const double each = value[position[i]];
    switch (which) {
      case Which::kLargest:
        fromTop = std::min(fromTop, each);
        break;
      case Which::kSmallest:
        fromBottom = std::max(fromBottom, each);
        break;
      case Which::kBothEnds:
        if (i % 2 == 0) fromTop = std::min(fromTop, each);
        if (i % 2 == 1) fromBottom = std::max(fromBottom, each);
        break;
      default:
        fromTop = std::min(fromTop, std::abs(each));
        fromBottom = -fromTop;
    }
  }
  std::vector<Rival> rivals;
  if (fromTop < kNever) rivals.push_back({high, fromTop - value[high]});
  if (fromBottom > -kNever) rivals.push_back({low, value[low] - fromBottom});
  return rivals;
}

}  // namespace tc
