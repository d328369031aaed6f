#pragma once

#include <cstdint>
#include <vector>

#include "core/linearization/fused/schedule.h"

namespace tc::fused {

/// Where matrices begin in the three memories of the engine; offsets and sizes count elements.
///
///     kept     │ tile 0: v_0 rows_0 φ'_0 … y │ tile 1: … │     of the linearization
///     scratch  │ slots │ slopes │ δ │ rows │ u │ Jv │        of a thread, for the tile at hand
///     shared   │ δ_0 rows_0 values_0 │ δ_1 … │               of all threads, for a round of tiles
///
/// Matrices are [width][T] with the samples in the columns, so that vector registers hold samples
/// and any width is as good as another; W and a tangent of W are read where they lie in the flat
/// vector. `rows` matrices have the samples in the rows, as gradients of wide layers need them.

constexpr int64_t kNone = -1;

/// What a tile keeps for later products: all that is linear in the tangent or cotangent needs of
/// the forward pass.
struct KeptLayout {
  struct OfLayer {
    int64_t value = kNone;   ///< v_l [in][T], for linear layers
    int64_t rows = kNone;    ///< v_l [T][in], where that is not made anew in each product
    int64_t slope = kNone;   ///< φ'_l [width][T], of layers that are not direct
    int64_t direct = kNone;  ///< D_l [outputs][out][T]
  };
  std::vector<OfLayer> layers;
  int64_t output = 0;  ///< y [outputs][T]
  int64_t size = 0;    ///< of one tile
};

/// What a thread needs within one tile.
struct ScratchLayout {
  std::vector<int64_t> slot;   ///< v_l, its tangent or its cotangent; reused when it is dead
  std::vector<int64_t> slope;  ///< φ'_l of direct layers, while D_l is made
  int64_t delta = 0;           ///< [widest][T]
  int64_t rows = 0;            ///< [T][widest], of layers that do not keep `rows`
  int64_t cotangent = 0;       ///< u [outputs][T]
  int64_t tangent = 0;         ///< Jv [outputs][T]
  int64_t size = 0;
};

/// What the tiles of a round leave for all threads, where rows are shared.
struct SharedLayout {
  struct OfLayer {
    int64_t delta = 0;   ///< δ_l [out][round]
    int64_t rows = 0;    ///< v_l [round][in]; its first `byProduct` columns
    int64_t values = 0;  ///< v_l [in − byProduct][round], the others
  };
  std::vector<OfLayer> layers;
  int64_t row = 0;  ///< from one row of the matrices [..][round] to the next
  int64_t size = 0;
};

/// What a thread needs besides, within one tile, for the diagonal of JᵀCJ.
struct DiagonalLayout {
  std::vector<int64_t> sums;  ///< Σₖ λₖ ⊙ δ_l²  [out][T], of linear layers
  int64_t squares = 0;        ///< v_l² [widest][T]
  int64_t rows = 0;           ///< v_l² [T][widest]
  int64_t weights = 0;        ///< λₖ [T]
  int64_t size = 0;
};

/// A schedule and the memory it needs.
struct Plan : Schedule {
  int64_t row;                  ///< from one row of a matrix [width][T] to the next
  std::vector<int64_t> stride;  ///< from one row of `rows` to the next, for each layer
  KeptLayout kept;
  ScratchLayout scratch;
  SharedLayout shared;

  const KeptLayout::OfLayer& keeps(int64_t l) const { return kept.layers[static_cast<size_t>(l)]; }
  const SharedLayout::OfLayer& shares(int64_t l) const {
    return shared.layers[static_cast<size_t>(l)];
  }
  int64_t strideOf(int64_t l) const { return stride[static_cast<size_t>(l)]; }
};

/// The plan for a given cut; 0 ≤ cut ≤ layers.
Plan makePlan(const Chain& chain, const Workload& workload, int64_t cut);

DiagonalLayout diagonalLayout(const Plan& plan);

}  // namespace tc::fused
