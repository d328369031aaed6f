#pragma once

#include <memory>
#include <vector>

#include "core/losses/loss.h"
#include "core/program/program.h"

namespace tc {

/// A program that is called with tensors other than a problem's inputs: of outputs and targets.
struct LossProgram {
  std::shared_ptr<const Program> program;
  at::Tensor params;  ///< flat
  /// What it was exported for, by input; −1 for a size that is free. Empty where nothing is known.
  std::vector<std::vector<int64_t>> shapes;
};

/// The loss that a program computes: (y, target) ↦ the loss of each row, [N], or y ↦ that. Its
/// derivatives are those of automatic differentiation. A datum is a row, and a mean divides by the
/// rows. `sampler`, whose program may be null, maps (y, uniform numbers on (0, 1) of y's shape) to
/// a target that is drawn from the distribution that the model predicts.
LossPtr programLoss(LossProgram loss, LossProgram sampler);

}  // namespace tc
