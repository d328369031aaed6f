#pragma once

#include <cstdint>

#include "core/kernels/kernels.h"
#include "core/linearization/fused/layout.h"
#include "core/linearization/fused/tile_memory.h"
#include "core/linearization/fused/work.h"
#include "core/runtime/stop.h"

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
/// Everything looks at the stop token between layers and within wide ones. Once a stop was
/// requested, what it leaves is worthless.
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
  void prepare(const T* x, int64_t n, T* kept, T* scratch, const StopToken& stop) const;
  /// J v: fills the tangent in the scratch memory.
  void push(const T* v, int64_t n, const T* kept, T* scratch, const StopToken& stop) const;
  /// What becomes of a tile's δ: `gradient` += Jᵀu or, where rows are shared, the `shared` memory's
  /// columns from `first` on, the tile's first sample in the round.
  struct Target {
    T* gradient;
    T* shared;
    int64_t first;
  };
  /// For the cotangent u in the scratch memory, zero beyond column n.
  void pull(int64_t n, const T* kept, T* scratch, const Target& target,
            const StopToken& stop) const;
  /// For u = J v
  void pushPull(const T* v, int64_t n, const T* kept, T* scratch, const Target& target,
                const StopToken& stop) const;
  /// gradient += Jᵀu, or = if it `overwrites`, the share of worker `index` of `workers`, for the
  /// `n` samples of a round, whose tiles have filled the shared memory.
  void pullRows(int64_t index, int64_t workers, int64_t n, const T* shared, T* gradient,
                bool overwrites, const StopToken& stop) const;

  /// Cₙ = Σₖ λₖₙ sₖₙ sₖₙᵀ of the samples of a tile: `vectors` + k·`stride`·outputs is sₖ
  /// [n][outputs] and `weights` + k·`stride` is λₖ [n].
  struct Factors {
    int64_t count;
    int64_t stride;
    const T* vectors;
    const T* weights;
  };
  /// diag(JᵀCJ) in the place of Jᵀu: Σₖ λₖ ⊙ δ_l² for sₖ as u in that of δ_l, v_l² in that of v_l.
  /// For chains that share no parameters; `extra` is memory as diagonalLayout lays it out.
  void diagonal(const Factors& factors, int64_t n, const T* kept, T* scratch, T* extra,
                const DiagonalLayout& layout, const Target& target, const StopToken& stop) const;

  /// Row sample·outputs + output of `out`, [n·outputs][parameters]: the gradient of that output at
  /// that sample. For a plan with all layers below the cut.
  void jacobian(int64_t n, const T* kept, T* scratch, int64_t parameters, T* out,
                const StopToken& stop) const;

  /// Samples in the columns, as in a tile, to samples in the rows [n][width].
  void toRows(int64_t width, int64_t n, const T* columns, T* rows) const {
    kernels_.transpose(width, n, columns, plan_.row, rows, width);
  }
  /// The reverse, for a cotangent: columns beyond n become 0.
  void toColumns(int64_t width, int64_t n, const T* rows, T* columns) const;

 private:
  using Preparing = TileMemory<T, T>;
  using Prepared = TileMemory<T, const T>;

  int64_t padded(int64_t n) const {
    return (n + kernels_.lanes - 1) / kernels_.lanes * kernels_.lanes;
  }
  Prepared prepared(int64_t n, const T* kept, T* scratch) const {
    return {plan_, padded(n), kept, scratch};
  }

  /// c = A b, with A still to be given.
  Product<T> product(const Matrix<const T>& b, const Matrix<T>& c) const;
  /// Calls `multiply(part, first)` with a product, or with some rows of it at a time, from `first`
  /// on, where it is large.
  template <typename Multiply>
  void inParts(const Product<T>& product, const StopToken& stop, Multiply&& multiply) const;
  void multiply(const Product<T>& product, const StopToken& stop) const;
  void add(const Matrix<const T>& a, const Matrix<T>& c) const {
    kernels_.add(a.rows, a.columns, a.row, a.data, c.data);
  }
  /// c = a ⊙ b
  void multiply(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& c) const {
    kernels_.multiply(a.rows, a.columns, a.row, a.data, b.data, c.data);
  }

  /// D_l of one output, for all direct layers from `lowest` on.
  void makeDirect(int64_t lowest, int64_t output, const Preparing& tile,
                  const StopToken& stop) const;

  /// The cotangents δ_l of the layers from the last down to `lowest`, for the e_L in its slot.
  /// `place(l)` is where δ_l goes; `use(l, δ_l)` sees it there.
  template <typename Memory, typename Place, typename Use>
  void reverse(int64_t lowest, const Memory& tile, Place&& place, Use&& use,
               const StopToken& stop) const;
  /// Adds e_{l+1} to the cotangent of the earlier value that layer l adds.
  void reverseSkip(int64_t l, const Matrix<const T>& e, const Matrix<T>& earlier) const;
  /// Whether δ_l is e_{l+1} = W_{l+1}ᵀ δ_{l+1} times φ'_l and nothing besides, so that the product
  /// can make it at once.
  bool isScaledProduct(int64_t l) const {
    return chain_.layer(l + 1).linear && chain_.layer(l).activates() && !chain_.layer(l).skip &&
           !plan_.isReceived(l + 1);
  }

  /// Calls `use(l, linear, δ_l, summed)` for each linear layer, for the u in the scratch memory.
  /// `bias(linear)` is where the sums of a direct layer's δ_l are wanted, which are then `summed`,
  /// or null; δ_l is in its place until the next call.
  template <typename Bias, typename Use>
  void eachDelta(const Prepared& tile, Bias&& bias, Use&& use, const StopToken& stop) const;
  /// v_l with the samples in the rows, made in the scratch memory where it is not kept.
  const T* rowsOf(int64_t l, int64_t n, const Prepared& tile) const;
  /// Whether gradients of layer l are made of v_l with the samples in the rows.
  bool usesRows(int64_t l) const { return plan_.columnsByProduct(l) > 0 && !plan_.sharesRows(); }
  /// What the tile has to do for the gradients of layer l once it has δ_l: of the weight, and of
  /// the bias if it is not `summed` already. `rows` is `value`, v_l, with the samples in the rows.
  void useDelta(int64_t l, const Linear& linear, int64_t n, const Matrix<const T>& delta,
                const Matrix<const T>& value, const T* rows, const Target& target, bool summed,
                const StopToken& stop) const;
  /// Puts δ_l and v_l into the shared memory.
  void share(int64_t l, int64_t n, const Matrix<const T>& delta, const Matrix<const T>& value,
             const Target& target) const;
  /// δ_l and v_l of n samples, as a gradient needs them.
  struct Samples {
    int64_t n;
    Matrix<const T> delta;  ///< δ_l [out][n]
    const T* rows;          ///< v_l [n][in], `strideOf`; the first `columnsByProduct` of it
    const T* values;        ///< v_l [in − columnsByProduct][n], the others; rows as delta's
  };
  /// Rows [first, last) of G_l, added to those of the gradient, or = if it `overwrites`.
  void weightGradient(int64_t l, const Linear& linear, const Samples& samples, int64_t first,
                      int64_t last, T* gradient, bool overwrites, const StopToken& stop) const;

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
