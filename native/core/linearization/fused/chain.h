#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/kernels/activation.h"

namespace tc::fused {

/// W [out, in] and b [out], where they lie in the flat parameter vector.
struct Linear {
  int64_t in;
  int64_t out;
  int64_t weight;               ///< offset
  std::optional<int64_t> bias;  ///< offset
};

/// One step of a chain, from value v_l to v_{l+1}; each of its three parts may be missing:
///
///     v_{l+1} = φ_l(W_l v_l + b_l) + v_{s_l},   s_l ≤ l
///
/// The last term is a residual connection from any earlier value.
struct Layer {
  std::optional<Linear> linear;
  Activation activation;
  std::optional<int64_t> skip;  ///< s_l

  bool activates() const { return activation.row != Activation::kIdentity; }
};

/// A model that the fused engine can run: v_0 is the input of one sample, v_L its output.
struct Chain {
  std::vector<Layer> layers;
  std::vector<int64_t> widths;       ///< of v_0 … v_L
  std::vector<int64_t> outputShape;  ///< of one sample's output, with as many numbers as v_L

  int64_t size() const { return static_cast<int64_t>(layers.size()); }
  const Layer& layer(int64_t l) const { return layers[static_cast<size_t>(l)]; }
  int64_t width(int64_t l) const { return widths[static_cast<size_t>(l)]; }
  int64_t outputs() const { return widths.back(); }

  /// [begin, end) of the parameters that each weight and each bias takes, in the order of begin.
  /// Layers may share some, and leave others out.
  std::vector<std::pair<int64_t, int64_t>> parameterRanges() const;
  /// Whether some parameter belongs to several weights or biases.
  bool sharesParameters() const;
  /// Whether each of `parameters` parameters belongs to exactly one weight or bias.
  bool usesEachOnce(int64_t parameters) const;
};

}  // namespace tc::fused
