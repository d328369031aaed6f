#pragma once

#include <cstdint>

#include "core/losses/loss.h"

namespace tc {

/// What has an outer product of its own in the Fisher matrices: a *datum*, as in curvlinops (for
/// cross-entropy a token or pixel, for element-wise losses the vector along the last axis), or a
/// row.
enum class Per { kDatum, kRow };

/// `datum` or `row`. Throws Error ERR_INVALID_ARGUMENT.
Per findPer(const std::string& name);

/// How the outputs of a row are read as data: [before, outputs of a datum, after].
struct DataLayout {
  int64_t before = 1;
  int64_t outputs = 1;
  int64_t after = 1;
};
DataLayout dataLayout(const Loss& loss, const at::Tensor& y, Per per);

/// How many data of each row have terms, [N], of the precision and on the device of y.
at::Tensor countData(const Loss& loss, const at::Tensor& y, const at::Tensor& target, Per per);

}  // namespace tc
