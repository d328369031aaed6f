#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "core/losses/data.h"
#include "core/losses/objective.h"
#include "core/operators/row_weights.h"
#include "core/runtime/stop.h"

namespace tc {

/// Which vectors u by the outputs stand for the loss, c Σ_n w_n Σ u_n u_nᵀ (Kunstner, Hennig &
/// Balles 2019): the roots of its Hessian, gradients for targets drawn from the model, or its
/// gradients.
enum class FisherKind { kType2, kMonteCarlo, kEmpirical };

/// `type2`, `mc` or `empirical`. Throws Error ERR_INVALID_ARGUMENT.
FisherKind findFisherKind(const std::string& name);

/// Those vectors for the rows of a batch, one for each row at a time.
class OutputGradients {
 public:
  /// Throws Error ERR_INVALID_ARGUMENT where the loss has no such matrix.
  OutputGradients(FisherKind kind, Objective objective, RowWeights weights, Per per,
                  const Draws& draws, int64_t samples);

  /// Calls `use(u, q)` with u, [n, …] like y, and its signed weights q, [n], so that the sum over
  /// the calls of Σ_n q_n u_n u_nᵀ is the matrix; y are the outputs of rows from `begin` on. For
  /// kType2 one call for each output of a row; else one for each sample and datum of a row. Throws
  /// Error ERR_OUT_OF_MEMORY where the Hessian of a datum would not fit.
  void forEach(const at::Tensor& y, int64_t begin,
               const std::function<void(const at::Tensor& u, const at::Tensor& q)>& use,
               const StopToken& stop) const;

  /// Rows of outputs like y whose Hessians are kept at once.
  int64_t rowsAtOnce(const at::Tensor& y) const;

  /// w_n, [n], which is 0 for a row without terms.
  at::Tensor rowWeights(const at::Tensor& y, int64_t begin) const;

 private:
  using Use = std::function<void(const at::Tensor& u, const at::Tensor& q)>;

  void forEachRoot(const at::Tensor& y, const Objective& part, const at::Tensor& scale,
                   const Use& use, const StopToken& stop) const;
  void forEachDatum(const at::Tensor& gradient, const at::Tensor& q, const Use& use,
                    const StopToken& stop) const;

  FisherKind kind_;
  Objective objective_;
  RowWeights weights_;
  Per per_;
  Draws draws_;
  int64_t samples_;
};

}  // namespace tc
