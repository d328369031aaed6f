#pragma once

#include <cstdint>
#include <vector>

#include "core/linearization/fused/chain.h"

namespace tc::fused {

/// What decides how a chain is cut up.
struct Workload {
  int64_t batch;
  int64_t products;  ///< how many times J or Jᵀ are expected to be applied, in pairs
  int threads;
  int64_t lanes;        ///< of the kernels
  int64_t elementSize;  ///< bytes
  int64_t directBytes;  ///< limit for what layers below the cut may keep
};

/// What is computed how, and on how many samples at a time; where it lies is the layout's matter.
///
///         batch        ├──────── round ────────┤──────── round ────────┤─ …
///                      ├ tile ┤ tile ┤ … │tile ┤
///     layers  v_0 ──▶ ┌──────┐
///                     │direct│  below the cut: ∂y/∂z of each output is kept
///             cut ──▶ ├──────┤
///                     │chain │  from the cut on: φ' is kept, products with W run both ways
///             v_L ◀── └──────┘
///
/// A thread adds up the gradients of its tiles in a vector of its own. Where such vectors are large
/// compared to cotangents δ_l and values v_l, threads *share rows* instead: the tiles of a round
/// leave δ_l and v_l in memory that all threads see, and then each thread makes its rows of every
/// gradient, from all samples of the round at once.
struct Schedule {
  Chain chain;
  int64_t cut;
  int64_t tile;        ///< samples in a tile, T: a multiple of `lanes`
  int64_t tiles;       ///< in the batch
  int64_t roundTiles;  ///< tiles in a round; 0: rows are not shared

  std::vector<bool> active;     ///< v_l depends on a parameter of a layer ≥ cut
  std::vector<bool> receives;   ///< v_l is added to a later value
  std::vector<bool> firstSkip;  ///< no later layer adds the same value as this one
  /// How many columns of the gradient of W_l are a matrix product with v_l's samples in the rows;
  /// the rest, too few for a vector, and the few rows of narrow outputs are sums over the columns
  /// of v_l.
  std::vector<int64_t> byProduct;

  bool sharesRows() const { return roundTiles > 0; }
  bool isActive(int64_t l) const { return active[static_cast<size_t>(l)]; }
  bool isDirect(int64_t l) const { return l < cut && chain.layer(l).linear.has_value(); }
  bool isReceived(int64_t l) const { return receives[static_cast<size_t>(l)]; }
  bool isFirstSkip(int64_t l) const { return firstSkip[static_cast<size_t>(l)]; }
  int64_t columnsByProduct(int64_t l) const { return byProduct[static_cast<size_t>(l)]; }
};

/// The cut with the least work for `products` products, the set-up included, within the memory
/// that the workload allows.
int64_t chooseCut(const Chain& chain, const Workload& workload);

/// The schedule for a given cut; 0 ≤ cut ≤ layers.
Schedule makeSchedule(const Chain& chain, const Workload& workload, int64_t cut);

}  // namespace tc::fused
