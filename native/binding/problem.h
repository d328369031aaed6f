#pragma once

#include <string>

#include "binding/request.h"
#include "core/linearization/chunked.h"
#include "core/losses/data.h"
#include "core/losses/objective.h"
#include "core/operators/row_weights.h"

namespace tc::js {

/// `engine`, `chunkSize`, `memoryBudget` and `products` of a request.
ChunkOptions chunkOptions(const Fields& fields);

/// The parts of a problem beyond its point, copied from JavaScript.
struct ProblemFields {
  std::string loss;
  std::string reduction;
  at::Tensor target;   ///< may be undefined
  at::Tensor weights;  ///< may be undefined
  bool center = false;
  Per per = Per::kDatum;

  /// Throws Error where loss, reduction or target do not fit.
  Objective objective(const Point& point) const;
  /// For outputs that are like y.
  Objective objective(const at::Tensor& y) const;
  RowWeights rowWeights(const Point& point) const;
};

ProblemFields problemFields(const Fields& fields);

}  // namespace tc::js
