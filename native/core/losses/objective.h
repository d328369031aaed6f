#pragma once

#include "core/losses/loss.h"

namespace tc {

enum class Reduction { kMean, kSum };

/// The reduction called `mean` or `sum`. Throws Error ERR_INVALID_ARGUMENT.
Reduction findReduction(const std::string& name);

/// A loss with its targets and its scale over the whole batch: L = scale · Σ loss. The scale comes
/// from the whole batch, which makes sums over ragged chunks exact.
struct Objective {
  std::shared_ptr<const Loss> loss;
  at::Tensor target;
  double scale = 1;
  /// What turns a row's sum of terms into its own loss ℓ of L = c Σ ℓ, with c = 1/N for a mean and
  /// 1 for a sum.
  double rowScale = 1;

  at::Tensor targetRows(int64_t begin, int64_t end) const {
    return target.narrow(0, begin, end - begin);
  }
};

/// Checks the target against the output y of the whole batch. Throws as `Loss::check` does.
Objective makeObjective(std::shared_ptr<const Loss> loss, const at::Tensor& y,
                        const at::Tensor& target, Reduction reduction);

}  // namespace tc
