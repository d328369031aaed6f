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

/// How a chain runs, tile by tile: T samples at a time. Offsets and sizes count elements.
///
/// A tile *keeps*, for later products, what is linear in the tangent or cotangent needs of the
/// forward pass. Values are matrices [width][T] with the samples in the columns, so that vector
/// registers hold samples, any width is as good as another, and W and a tangent V of W are read
/// where they lie in the flat vector. `row` elements lie from one row to the next.
///
/// A thread adds up the gradients of its tiles in a vector of its own. Where such vectors are large
/// compared to cotangents δ_l and values v_l, the plan *shares rows* instead: the tiles of a round
/// leave those in memory that all threads see, and then each thread makes its rows of every
/// gradient, from all samples of the round at once.
///
/// Layers from `cut` on keep φ'_l and use the chain rule. Layers below it are *direct*: they keep
/// D_l[o] = ∂y_o/∂z_l, z_l = W_l v_l + b_l, for each output o, which saves the products with W_l in
/// both directions: see TileProgram.
struct Plan {
  static constexpr int64_t kNone = -1;

  Chain chain;
  int64_t tile;   ///< T, a multiple of `lanes`
  int64_t tiles;  ///< in the batch
  int64_t row;
  int64_t cut;

  /// Where a layer's part of what a tile keeps begins; kNone for what it does not keep.
  struct Kept {
    int64_t value = kNone;   ///< v_l [in][T], for linear layers
    int64_t rows = kNone;    ///< the same with the samples in the rows, [T][in], `rowsStride`
    int64_t slope = kNone;   ///< φ'_l [width][T]
    int64_t direct = kNone;  ///< D_l [outputs][out][T]
  };
  std::vector<Kept> kept;
  int64_t output;    ///< y [outputs][T]
  int64_t keptSize;  ///< of one tile

  /// Where the scratch memory of a thread holds what it needs within one tile.
  std::vector<int64_t> slot;   ///< v_l, its tangent or its cotangent, reused when it is dead
  std::vector<int64_t> slope;  ///< φ'_l of direct layers, while D_l is made
  int64_t delta;               ///< [widest][T]
  int64_t rows;                ///< [T][widest], for layers that do not keep `rows`
  int64_t cotangent;           ///< u [outputs][T]
  int64_t tangent;             ///< Jv [outputs][T]
  int64_t scratchSize;

  std::vector<bool> active;     ///< v_l depends on a parameter of a layer ≥ cut
  std::vector<bool> receives;   ///< v_l is added to a later value
  std::vector<bool> firstSkip;  ///< no later layer adds the same value as this one
  std::vector<int64_t> stride;  ///< of `rows`, for each layer
  /// How many columns of the gradient of W_l are a product with `rows`; the rest, too few for a
  /// vector, and the few rows of narrow outputs are sums over the columns of v_l.
  std::vector<int64_t> byProduct;

  int64_t roundTiles;  ///< tiles in a round; 0: rows are not shared
  int64_t samples;     ///< elements from one row of the matrices [..][round] to the next
  /// Where a linear layer's part of the shared memory begins.
  struct Shared {
    int64_t delta;   ///< δ_l [out][round]
    int64_t rows;    ///< v_l [round][in], `stride`; the first `byProduct` columns of it
    int64_t values;  ///< v_l [in − byProduct][round], the others
  };
  std::vector<Shared> shared;
  int64_t sharedSize;

  const Kept& keeps(int64_t l) const { return kept[static_cast<size_t>(l)]; }
  bool sharesRows() const { return roundTiles > 0; }
  bool isActive(int64_t l) const { return active[static_cast<size_t>(l)]; }
  bool isDirect(int64_t l) const { return l < cut && chain.layer(l).linear.has_value(); }
};

/// The cut with the least work for `products` products, the set-up included, within the memory
/// that the workload allows.
int64_t chooseCut(const Chain& chain, const Workload& workload);

/// The plan for a given cut; 0 ≤ cut ≤ layers.
Plan makePlan(const Chain& chain, const Workload& workload, int64_t cut);

}  // namespace tc::fused
