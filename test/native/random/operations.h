#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sketch.h"

namespace tc::test {

// The words that the tables of operations are written in.
using Value = Sketch::Value;
using Result = std::optional<Value>;
using Argument = Sketch::Argument;
using Refs = ProgramSpec::Refs;
using List = std::vector<double>;
inline const Argument kNone = std::monostate();

/// A way to continue a program from one of its values: a call of an operator, with whatever it
/// needs around it.
struct Operation {
  std::string name;
  /// None where `x` does not suit.
  std::function<Result(Sketch&, Value x)> apply;
  /// False where finite differences do not show what autograd computes: `detach`.
  bool differentiable = true;
};

/// One table for each kind of operator; each in the file of its name.
const std::vector<Operation>& shapeOperations();
const std::vector<Operation>& elementwiseOperations();
const std::vector<Operation>& productOperations();
const std::vector<Operation>& reductionOperations();
const std::vector<Operation>& layerOperations();

}  // namespace tc::test
