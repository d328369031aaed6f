#pragma once

#include <optional>

#include "core/linearization/autograd/maps/linear_map.h"
#include "core/program/program.h"

namespace tc {

/// Calls operators in a forward pass under autograd, for `Program::run`: those that have a linear
/// map get it as their node of autograd's graph, whose backward passes then run it. Such a graph
/// cannot be differentiated again.
class Linearizer {
 public:
  /// A Program::Caller.
  bool call(const Program::Node& node, torch::jit::Stack& stack);

  /// The derivative of the operator called last; empty where libtorch called it.
  Pushforward takePushforward() { return std::exchange(push_, {}); }

 private:
  Pushforward push_;
};

}  // namespace tc
