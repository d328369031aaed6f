#pragma once

#include <string>

#include "core/losses/data.h"
#include "core/losses/objective.h"
#include "core/losses/program_loss.h"
#include "core/operators/row_weights.h"
#include "core/program/point.h"

namespace tc {

/// What a problem has beyond its point: a loss with its targets and an L2 term, and weights of the
/// rows.
struct Problem {
  std::string loss;
  LossOptions lossOptions;
  LossProgram lossProgram;  ///< in place of a `loss` where it has a program
  LossProgram sampler;      ///< of that; may have no program
  std::string reduction = "mean";
  at::Tensor target;   ///< may be undefined
  at::Tensor weights;  ///< may be undefined
  at::Tensor l2;       ///< λ of ½ Σ λ θ², flat, [P]; may be undefined
  bool center = false;
  Per per = Per::kDatum;

  /// Throws Error where loss, reduction or target do not fit the model's outputs at `point`.
  Objective objective(const Point& point) const;
  /// For outputs that are like y.
  Objective objective(const at::Tensor& y) const;
  RowWeights rowWeights(const Point& point) const;
};

}  // namespace tc
