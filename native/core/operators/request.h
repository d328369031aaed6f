#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/operators/arguments.h"
#include "core/operators/jacobian.h"
#include "core/operators/problem.h"
#include "core/runtime/table.h"

namespace tc {

/// What an operator of a model is made from.
struct OperatorRequest {
  Point point;              ///< on the device that computes
  LinearizationPtr shared;  ///< at that point, of other operators too; null: make one
  ChunkOptions options;     ///< of a linearization that is made
  Problem problem;
  std::vector<at::Tensor> others;  ///< inputs of a second batch, for kinds that compare two
  Arguments arguments;             ///< options of this operator alone

  /// The one that is shared, or a new one: a forward pass.
  LinearizationPtr linearization(const StopToken& stop) const;
  /// The same model at the same parameters, for the second batch.
  LinearizationPtr otherLinearization(const StopToken& stop) const;
  Objective objective() const { return problem.objective(point); }
  RowWeights rowWeights() const { return problem.rowWeights(point); }
};

/// A kind of operator: what it is made by, and how profiles name its products.
struct OperatorKind {
  const char* label;
  OperatorPtr (*make)(const OperatorRequest& request, const StopToken& stop);
  /// Whether it subtracts means over the rows where the problem asks for that.
  bool centers = false;
  /// Which matrix it is, of those that not every loss has.
  std::optional<LossMatrix> matrix = std::nullopt;
  /// Whether the problem's L2 term adds its curvature.
  bool regularized = false;
  /// Whether autograd alone makes it, of any model.
  bool byAutograd = false;
};

/// The operators of a model, by name: each in the file of its name, which adds its row.
Table<OperatorKind>& operatorKinds();

/// The operator of the kind called `name`. Throws Error ERR_INVALID_ARGUMENT where there is none,
/// or where it cannot be centered, ERR_UNSUPPORTED_OP where the engine asked for does not make it.
OperatorPtr makeOperator(const std::string& name, const OperatorRequest& request,
                         const StopToken& stop);

}  // namespace tc
