#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/operators/kfac/block.h"
#include "core/operators/kfac/factor.h"
#include "core/operators/linear_operator.h"

namespace tc {

/// How an inverse is damped, with K = L ⊗ R of a block and damping λ.
enum class Damping {
  kExact,      ///< (K + λI)⁻¹
  kHeuristic,  ///< (L + √λ I)⁻¹ ⊗ (R + √λ I)⁻¹
  kPi,         ///< (L + π√λ I)⁻¹ ⊗ (R + √λ/π I)⁻¹ with π² the ratio of the mean eigenvalues of L
               ///< and R (Martens & Grosse 2015, section 6.3)
};

/// `exact`, `heuristic` or `pi`. Throws Error ERR_INVALID_ARGUMENT.
Damping findDamping(const std::string& name);

/// A block of K in its eigenbasis: Q_L (values ⊙ Q_Lᵀ X Q_R) Q_Rᵀ.
struct EigenBlock {
  Block block;
  at::Tensor left;    ///< Q_L, [g, r, r]; undefined for the identity
  at::Tensor right;   ///< Q_R, [g, c, c]; undefined for the identity
  at::Tensor values;  ///< [g, r, c]
  /// Where the factors that the basis is of are singular, [g, r, c]: the values found there are
  /// near 0 rather than 0, as the basis holds up to rounding. Undefined for the factors' own
  /// values.
  at::Tensor singular = {};

  /// values + damping; where nothing damps them, those of `singular` within rounding of 0 are 0.
  at::Tensor damped(double damping) const;
};

/// A symmetric block-diagonal matrix over the parameters, whose blocks have eigenvectors that are
/// Kronecker products.
class KroneckerOperator : public LinearOperator {
 public:
  /// The sum of vectors of several processes, which have ones of one length and precision.
  /// `subject` says of what, and `same` is what has to be the same everywhere for that.
  using VectorSum = std::function<at::Tensor(const at::Tensor& values, const std::string& subject,
                                             const at::Tensor& same)>;

  bool symmetric() const override { return true; }

  virtual double trace(const StopToken& stop) const = 0;
  virtual double frobeniusNorm(const StopToken& stop) const = 0;
  /// log det(K + λI): −∞ where that is singular, NaN where an eigenvalue is negative.
  double logdet(double damping, const StopToken& stop) const;
  /// K⁻¹ damped, where the blocks that are exact are damped exactly. Throws Error
  /// ERR_INVALID_ARGUMENT where what is inverted is singular, or for kHeuristic and kPi of a matrix
  /// without factors.
  std::shared_ptr<const KroneckerOperator> inverse(double damping, Damping method,
                                                   const StopToken& stop) const;

  struct Eigh {
    at::Tensor eigenvalues;    ///< [P], ascending
    OperatorPtr eigenvectors;  ///< orthogonal; column i belongs to eigenvalue i
  };
  Eigh eigh(const StopToken& stop) const;

  /// Its blocks by their eigenvectors; found once.
  virtual const std::vector<EigenBlock>& eigenBlocks(const StopToken& stop) const = 0;
  /// Of the rows of this and of `other` together: means and sums of factors add up as such,
  /// eigenvalues in one basis as they are. Throws Error ERR_INVALID_ARGUMENT where the two are not
  /// of one kind.
  virtual std::shared_ptr<const KroneckerOperator> joined(const KroneckerOperator& other) const = 0;
  /// Likewise of this and of those of other processes, which have the same blocks.
  virtual std::shared_ptr<const KroneckerOperator> joinedBy(const VectorSum& sum) const = 0;

 protected:
  using LinearOperator::LinearOperator;

  /// The eigenvalues of what damping the factors of block i by `method` inverts.
  virtual at::Tensor factorDamped(size_t i, double damping, Damping method,
                                  const StopToken& stop) const = 0;
};

using KroneckerPtr = std::shared_ptr<const KroneckerOperator>;

/// A block as a product of two factors: of the mean of a aᵀ over the rows, or over their positions,
/// and of the sum of g gᵀ. Of a block that is exact, the mean is 1.
struct KroneckerBlock {
  Block block;
  Factor mean;
  Factor sum;
  bool meanIsLeft = false;
  double weight = 0;  ///< what the mean was divided by

  const Factor& left() const { return meanIsLeft ? mean : sum; }
  const Factor& right() const { return meanIsLeft ? sum : mean; }
};

/// Blocks L ⊗ R over `length` parameters, each of which is in one of them.
KroneckerPtr kroneckerOperator(std::vector<KroneckerBlock> blocks, int64_t length,
                               const at::TensorOptions& options);

/// The same by eigenvectors and eigenvalues.
KroneckerPtr eigenOperator(std::vector<EigenBlock> blocks, int64_t length,
                           const at::TensorOptions& options);

}  // namespace tc
