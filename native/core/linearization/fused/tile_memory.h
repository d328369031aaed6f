#pragma once

#include <cstdint>

#include "core/linearization/fused/layout.h"
#include "core/linearization/fused/matrix.h"

namespace tc::fused {

/// The memory of one tile as the matrices that lie in it. `Kept` is T while the tile is prepared
/// and const T afterwards. Matrices have the samples in the columns, `columns` of them: the tile's,
/// rounded up to whole vectors.
template <typename T, typename Kept>
class TileMemory {
 public:
  TileMemory(const Plan& plan, int64_t columns, Kept* kept, T* scratch)
      : plan_(plan), columns_(columns), kept_(kept), scratch_(scratch) {}

  int64_t columns() const { return columns_; }

  /// v_l of a linear layer
  Matrix<Kept> value(int64_t l) const {
    return matrix(kept_ + plan_.keeps(l).value, plan_.chain.width(l));
  }
  /// φ'_l; of a direct layer only while its D_l is made
  Matrix<Kept> slope(int64_t l) const {
    Kept* const place = plan_.isDirect(l) ? scratch_ + plan_.scratch.slope[static_cast<size_t>(l)]
                                          : kept_ + plan_.keeps(l).slope;
    return matrix(place, plan_.chain.width(l + 1));
  }
  /// D_l of one output; those of the others follow it, `directStride` elements apart.
  Matrix<Kept> direct(int64_t l, int64_t output) const {
    return matrix(kept_ + plan_.keeps(l).direct + output * directStride(l),
                  plan_.chain.width(l + 1));
  }
  int64_t directStride(int64_t l) const { return plan_.chain.width(l + 1) * plan_.row; }
  /// y
  Matrix<Kept> output() const { return matrix(kept_ + plan_.kept.output, plan_.chain.outputs()); }

  /// Where v_l, its tangent or its cotangent is while it is needed.
  Matrix<T> slot(int64_t l) const {
    return matrix(scratch_ + plan_.scratch.slot[static_cast<size_t>(l)], plan_.chain.width(l));
  }
  /// For one matrix of the outputs of layer l.
  Matrix<T> delta(int64_t l) const {
    return matrix(scratch_ + plan_.scratch.delta, plan_.chain.width(l + 1));
  }
  /// u
  Matrix<T> cotangent() const {
    return matrix(scratch_ + plan_.scratch.cotangent, plan_.chain.outputs());
  }
  /// Jv
  Matrix<T> tangent() const {
    return matrix(scratch_ + plan_.scratch.tangent, plan_.chain.outputs());
  }
  /// v_l with the samples in the rows, plan.strideOf(l) apart: where it is kept, else where it can
  /// be made.
  Kept* keptRows(int64_t l) const {
    const int64_t rows = plan_.keeps(l).rows;
    return rows == kNone ? nullptr : kept_ + rows;
  }
  T* rows() const { return scratch_ + plan_.scratch.rows; }

 private:
  template <typename Element>
  Matrix<Element> matrix(Element* place, int64_t width) const {
    return {place, width, columns_, plan_.row};
  }

  const Plan& plan_;
  int64_t columns_;
  Kept* kept_;
  T* scratch_;
};

}  // namespace tc::fused
