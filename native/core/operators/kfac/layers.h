#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/program/program.h"

namespace tc {

/// A place where a program multiplies by a weight matrix: z = W a (+ b) at some positions of each
/// row (tokens, pixels), so that the gradient of a row by W is Σ g aᵀ over them, with g the
/// gradient by z.
struct LayerUse {
  enum class Kind { kLinear, kConvolution, kEmbedding };
  Kind kind = Kind::kLinear;
  size_t node = 0;
  size_t input = 0;  ///< the argument that a is made of
  /// The parameter's first axis is that of a: an embedding, and x W.
  bool inputFirst = false;

  // Of a convolution, for each axis of space.
  std::vector<int64_t> kernel;
  std::vector<int64_t> stride;
  std::vector<int64_t> dilation;
  std::vector<int64_t> padding;  ///< before and after each axis
  int64_t groups = 1;

  int64_t paddingIndex = -1;  ///< of an embedding: it has no gradient there; −1 for none
};

/// A weight, with the bias that is always added to it, and all of its uses.
struct KroneckerLayer {
  size_t weight = 0;  ///< numbers of parameters
  std::optional<size_t> bias;
  std::vector<LayerUse> uses;
};

/// A parameter that is used otherwise, too, and what uses it: "aten::layer_norm".
struct UncoveredParameter {
  size_t parameter = 0;
  std::string reason;
};

struct KroneckerLayers {
  std::vector<KroneckerLayer> layers;
  std::vector<UncoveredParameter> uncovered;
  std::vector<size_t> unused;  ///< parameters that no node reads
};

/// The linear, convolution and embedding layers of a program, found by what its nodes do with their
/// parameters (also through transposes), whatever these are called.
KroneckerLayers findLayers(const Program& program);

}  // namespace tc
