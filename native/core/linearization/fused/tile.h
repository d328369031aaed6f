#pragma once

#include <cstdint>

#include "core/kernels/kernels.h"
#include "core/linearization/fused/plan.h"
#include "core/linearization/fused/work.h"

namespace tc::fused {

/// Interprets the layers of a chain on one tile of samples. With z_l = W_l v_l + b_l, and with
/// tangents V of W and c of b, what it computes is
///
///     forward     v_{l+1} = φ_l(z_l) + v_{s_l}
///     tangent     dv_{l+1} = φ'_l ⊙ (V_l v_l + c_l + W_l dv_l) + dv_{s_l}
///     cotangent   δ_l = φ'_l ⊙ e_{l+1},   e_l = W_lᵀ δ_l + Σ_{m: s_m = l} e_{m+1}
///     gradient    G_l = Σ_t δ_l[t] v_l[t]ᵀ,   g_l = Σ_t δ_l[t]
///
/// The gradient of one output o of one sample with respect to W_l is the outer product
/// D_l[o] v_lᵀ with D_l[o] = δ_l for the unit cotangent e_L = o, whence for *direct* layers
///
///     tangent     dy_o += ⟨D_l[o], V_l v_l + c_l⟩
///     cotangent   δ_l = Σ_o u_o D_l[o]
///
/// without the products with W_l. Both ways add up: tangents of layers from the cut on run through
/// the chain, those below it reach the output directly.
///
/// Where the plan shares rows, G and g are not made tile by tile, but row by row once all tiles of
/// a round have left δ and v in the shared memory.
///
/// `kept` and `scratch` are memory for one tile as the plan lays it out; `n` the samples in the
/// tile, at most plan.tile. Columns beyond the last sample repeat it, and are given no cotangent.
template <typename T>
class TileProgram {
 public:
  TileProgram(const Plan& plan, const Kernels<T>& kernels, const T* params)
      : plan_(plan),
        chain_(plan.chain),
        kernels_(kernels),
        params_(params),
        analytic_(analyticWork(plan.chain)),
        executed_(executedWork(plan)) {}

  /// The forward pass: fills `kept` from inputs x [n][width]. Called before the others.
  void prepare(const T* x, int64_t n, T* kept, T* scratch) const;
  /// J v: fills plan.tangent in the scratch memory.
  void push(const T* v, int64_t n, const T* kept, T* scratch) const;
  /// What becomes of a tile's δ: `gradient` += Jᵀu or, where rows are shared, the `shared` memory's
  /// columns from `first` on, the tile's first sample in the round.
  struct Target {
    T* gradient;
    T* shared;
    int64_t first;
  };
  /// For the u in plan.cotangent of the scratch memory, zero beyond column n.
  void pull(int64_t n, const T* kept, T* scratch, const Target& target) const;
  /// For u = J v
  void pushPull(const T* v, int64_t n, const T* kept, T* scratch, const Target& target) const;
  /// gradient += Jᵀu, or = if it `overwrites`, the share of worker `index` of `workers`, for the
  /// `n` samples of a round, whose tiles have filled the shared memory.
  void pullRows(int64_t index, int64_t workers, int64_t n, const T* shared, T* gradient,
                bool overwrites) const;

  /// Row sample·outputs + output of `out`, [n·outputs][parameters]: the gradient of that output at
  /// that sample. For a plan with all layers below the cut.
  void jacobian(int64_t n, const T* kept, T* scratch, int64_t parameters, T* out) const;

  /// Samples in the columns [width][row], as in a tile, to samples in the rows [n][width].
  void toRows(int64_t width, int64_t n, const T* columns, T* rows) const {
    kernels_.transpose(width, n, columns, plan_.row, rows, width);
  }
  /// The reverse, for a cotangent: columns beyond n become 0.
  void toColumns(int64_t width, int64_t n, const T* rows, T* columns) const;

 private:
  int64_t padded(int64_t n) const {
    return (n + kernels_.lanes - 1) / kernels_.lanes * kernels_.lanes;
  }
  T* slot(T* scratch, int64_t l) const { return scratch + plan_.slot[static_cast<size_t>(l)]; }
  /// φ'_l, in one of the two places
  template <typename Pointer>
  Pointer slope(int64_t l, Pointer kept, T* scratch) const {
    return plan_.isDirect(l) ? scratch + plan_.slope[static_cast<size_t>(l)]
                             : kept + plan_.keeps(l).slope;
  }
  /// Whether e_{l+1} can be multiplied by φ'_l as it is made.
  bool fusesSlope(int64_t l) const {
    return chain_.layer(l).activates() && !chain_.layer(l).skip &&
           !plan_.receives[static_cast<size_t>(l + 1)];
  }
  void copy(int64_t width, int64_t n, const T* from, T* to) const;
  void makeDirect(int64_t first, int64_t output, int64_t n, T* kept, T* scratch) const;
  /// From e_L in its slot down to layer `lowest`. `place(l)` says where to write φ'_l ⊙ e_{l+1}
  /// where both are made at once. `visit(l, e, done)` is given e_{l+1}, or δ_l if it is `done`, and
  /// returns δ_l.
  template <typename Place, typename Visit>
  void reverse(int64_t lowest, int64_t n, const T* kept, T* scratch, Place place,
               Visit visit) const;
  /// v_l with the samples in the rows, made in the scratch memory where it is not kept.
  const T* rowsOf(int64_t l, int64_t n, const T* kept, T* scratch) const;
  /// What the tile has to do for the gradients of layer l once it has δ_l.
  void useDelta(int64_t l, int64_t n, const T* delta, const T* kept, T* scratch,
                const Target& target) const;
  /// δ_l and v_l of n samples, as a gradient needs them; matrices with the samples in the columns
  /// have `row` elements from one row to the next.
  struct Samples {
    int64_t n;
    const T* delta;   ///< δ_l [out][n]
    const T* rows;    ///< v_l [n][in], `stride`; the first `byProduct` columns of it
    const T* values;  ///< v_l [in − byProduct][n], the others
    int64_t row;
  };
  /// Rows [first, last) of G_l, added to those of the gradient, or = if it `overwrites`.
  void weightGradient(int64_t l, const Samples& samples, int64_t first, int64_t last, T* gradient,
                      bool overwrites) const;
  void share(int64_t l, int64_t n, const T* delta, const T* kept, const Target& target) const;

  const Plan& plan_;
  const Chain& chain_;
  const Kernels<T>& kernels_;
  const T* params_;
  Work analytic_;
  Work executed_;
};

extern template class TileProgram<float>;
extern template class TileProgram<double>;

}  // namespace tc::fused
