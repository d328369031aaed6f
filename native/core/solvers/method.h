#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/operators/arguments.h"
#include "core/runtime/table.h"

namespace tc {

/// What a solver or an estimator found, by name, in the form that any caller can take on. A tensor
/// is given back flat, or as `Shaped` with its shape.
struct Record {
  struct Shaped {
    at::Tensor tensor;
  };
  using Value =
      std::variant<bool, int64_t, double, std::string, at::Tensor, Shaped, std::vector<Record>>;

  std::vector<std::pair<std::string, Value>> fields;
};

/// A solver or an estimator of an operator A with options of its own.
using SolverMethod = Record (*)(const LinearOperator& a, const Arguments& given,
                                const StopToken& stop);

/// The methods by the names of their functions: each in the file of its name, which adds its row.
Table<SolverMethod>& solverMethods();

}  // namespace tc
