#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/linearization/autograd/pushforwards/pushforward.h"
#include "core/program/program.h"

namespace tc {

/// The derivative of one node of a program at a run of it, as a map of the tangents of values.
class TangentStep {
 public:
  /// Made by a program's observer, after the node was called under autograd: a value that needs no
  /// gradient has no tangent. Empty if none of the results has one. Throws
  /// c10::NotImplementedError where libtorch has no derivative of this call in forward mode, in
  /// whatever words it says so. `known` is the node's derivative where that was made already.
  static std::optional<TangentStep> at(const Program::Node& node,
                                       const torch::jit::Stack& arguments,
                                       const std::vector<at::Tensor>& values,
                                       Pushforward known = {});

  /// `tangents`, by value number, gain those of the results and lose those that no later node
  /// needs. Undefined is zero. Throws c10::NotImplementedError as `at` does, but what it throws
  /// once it has run before has other causes, and is thrown as it is.
  void run(std::vector<at::Tensor>& tangents, bool ranBefore = false) const;

 private:
  /// An argument that has a tangent.
  struct From {
    int64_t value;
    std::vector<int64_t> sizes;
    at::TensorOptions options;
  };
  std::vector<From> from_;
  size_t to_ = 0;  ///< value number of the first result
  size_t results_ = 0;
  const std::string* op_ = nullptr;  ///< its name; schemas are never dropped
  Pushforward pushforward_;
  std::vector<int64_t> lastUses_;
};

/// v ↦ J v as a straight-line program of its own: the derivatives of the nodes, kept. A product
/// calls linear operators only; no primal value is computed again, but inside operators that have
/// no rule (pushforwards/).
class TangentProgram {
 public:
  /// Watches one run of a program, called as its observer. Throws as `TangentStep::at`.
  void record(const Program::Node& node, const torch::jit::Stack& arguments,
              const std::vector<at::Tensor>& values, Pushforward known = {});

  /// The tangent of the value numbered `output` for those of the parameters, each of its
  /// parameter's shape. Undefined where no parameter reaches it; may be a view of what came in.
  /// Polls the thread's token before each step. Throws as `TangentStep::run`.
  at::Tensor push(std::vector<at::Tensor> tangents, int64_t output);

 private:
  std::vector<TangentStep> steps_;
  bool ran_ = false;  ///< whether a product was taken
};

}  // namespace tc
