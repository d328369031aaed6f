#pragma once

#include <optional>

#include "core/losses/loss.h"

namespace tc {

enum class Reduction { kMean, kSum };

/// The reduction called `mean` or `sum`. Throws Error ERR_INVALID_ARGUMENT.
Reduction findReduction(const std::string& name);

/// A loss with its targets and its scale over the whole batch: L = scale · Σ loss. The scale comes
/// from the whole batch, which makes sums over ragged chunks exact.
struct Objective {
  LossPtr loss;
  at::Tensor target;
  /// Of the whole batch: what a mean divides by.
  double divisor = 0;
  /// Of all terms; as in PyTorch, the mean of no terms is NaN and its derivatives are 0.
  double scale = 1;
  /// Of the loss's value: NaN for a mean of no terms, `scale` otherwise.
  double valueScale = 1;
  Reduction reduction = Reduction::kSum;
  /// Axes of the outputs.
  int64_t dims = 0;

  /// What its mean divides by; nothing for a sum.
  std::optional<double> meanDivisor() const;

  /// What it is for rows [begin, end), by the same scale.
  Objective rows(int64_t begin, int64_t end) const;
};

/// Checks the target against the output y of the whole batch. Throws as `Loss::check` does.
Objective makeObjective(LossPtr loss, const at::Tensor& y, const at::Tensor& target,
                        Reduction reduction);

}  // namespace tc
