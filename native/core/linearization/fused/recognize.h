#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/linearization/fused/chain.h"
#include "core/program/program.h"

namespace tc::fused {

/// A chain, or in one clause why the program is none.
struct Recognition {
  std::optional<Chain> chain;
  std::string reason;
};

/// Reads a program as a chain: linear layers, written as aten::linear or as torch.export
/// decomposes them, element-wise activations, additions of earlier values, and changes of shape
/// that keep the batch axis. `input` is the shape of the program's input, the batch first.
Recognition recognize(const Program& program, const std::vector<int64_t>& input);

}  // namespace tc::fused
