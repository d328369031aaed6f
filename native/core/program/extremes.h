#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

namespace tc {

/// The least and the largest of whole numbers, of which there are some. Under vmap, which has none
/// for each row, those of all rows.
std::pair<int64_t, int64_t> extremes(at::Tensor x);

}  // namespace tc
