#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/runtime/stop.h"

namespace tc {

class LinearOperator;
using OperatorPtr = std::shared_ptr<const LinearOperator>;

/// The operator of the data of several processes, the sum of one that each of them has.
using SumOverProcesses = std::function<OperatorPtr(const OperatorPtr& own)>;

/// What an operator says of the data that it is of, for sums with operators of other data.
struct DataShare {
  /// What its products were divided by, where it is of the mean of a loss over its data.
  std::optional<double> divisor;
  /// The first of the rows by whose numbers it drew targets, and how many there are.
  std::optional<std::pair<int64_t, int64_t>> drawn;
};

/// An operator that subtracts a mean over its data, in two steps: v ↦ `weight` times the mean,
/// [means, P], and (v, mean) ↦ the product, [P, P + means]. The mean may be one over more data.
struct CenteredParts {
  OperatorPtr sums;
  OperatorPtr around;
  double weight;
  /// What the product was divided by; the sums and the mean by its root.
  double divisor = 1;
};

/// A matrix A, [rows, cols], of which only products are known. Vectors are flat tensors of its
/// precision on its device; several vectors are the rows of a matrix. Immutable and safe to share
/// between threads: an operator that cannot compute two products at once serializes them itself.
///
/// Every public function checks shape, precision and device (Error ERR_SHAPE_MISMATCH,
/// ERR_DTYPE_MISMATCH), looks at the stop token, and returns a tensor of its own.
class LinearOperator {
 public:
  virtual ~LinearOperator() = default;
  LinearOperator(const LinearOperator&) = delete;
  LinearOperator& operator=(const LinearOperator&) = delete;

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  at::TensorOptions options() const { return options_; }
  /// Whether A = Aᵀ by construction.
  virtual bool symmetric() const = 0;

  /// A v: [cols] → [rows]
  at::Tensor matvec(const at::Tensor& v, const StopToken& stop) const;
  /// Aᵀu: [rows] → [cols]
  at::Tensor rmatvec(const at::Tensor& u, const StopToken& stop) const;
  /// V Aᵀ: [k, cols] → [k, rows], A applied to each of k vectors
  at::Tensor matmat(const at::Tensor& vectors, const StopToken& stop) const;
  /// U A: [k, rows] → [k, cols], Aᵀ applied to each of k vectors
  at::Tensor rmatmat(const at::Tensor& vectors, const StopToken& stop) const;

  /// A as a matrix, [rows, cols], by products with unit vectors unless the operator knows better.
  /// Throws Error ERR_OUT_OF_MEMORY before it allocates what would not fit.
  at::Tensor toDense(const StopToken& stop) const;
  /// Rows [begin, end) of A as a matrix, [end − begin, cols]. Throws Error ERR_INVALID_ARGUMENT for
  /// rows that are not there, ERR_OUT_OF_MEMORY.
  at::Tensor toDenseRows(int64_t begin, int64_t end, const StopToken& stop) const;
  /// The exact diagonal of a square A, [rows]. Throws Error ERR_SHAPE_MISMATCH.
  at::Tensor diagonal(const StopToken& stop) const;

  /// By which a profile names its products, "torch_curvature::hessian". `name` should live as long
  /// as the program; to be set before the operator is shared.
  void setLabel(const char* name) const { label_ = name; }
  const char* label() const { return label_; }
  /// Which engine its products run on, "fused" or "autograd"; null where it has none of its own.
  virtual const char* engine() const { return nullptr; }

  /// Shape of the model's outputs, [N, …], where the rows stand for them; empty elsewhere.
  virtual std::vector<int64_t> outputShape() const { return {}; }

  /// Bytes that it keeps for its products, besides those of operators that it is made of.
  virtual int64_t bytes() const { return 0; }

  /// As `setLabel`: to be set before the operator is shared.
  void setShare(const DataShare& share) const { share_ = share; }
  const DataShare& share() const { return share_; }
  /// Of an operator that subtracts a mean over its data.
  virtual std::optional<CenteredParts> centeredParts() const { return {}; }
  /// The operator of the data of several processes, where this is that of the data of one: made of
  /// sums over them. `self` is this. Throws Error ERR_INVALID_ARGUMENT where it cannot be.
  virtual OperatorPtr acrossProcesses(const OperatorPtr& self, const SumOverProcesses& sum) const;

 protected:
  LinearOperator(int64_t rows, int64_t cols, const at::TensorOptions& options)
      : rows_(rows), cols_(cols), options_(options) {}

  // What the public functions call once the arguments were checked.
  virtual at::Tensor apply(const at::Tensor& v, const StopToken& stop) const = 0;
  /// A symmetric operator need not have it.
  virtual at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const;
  virtual at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const;
  virtual at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const;
  virtual at::Tensor makeDense(const StopToken& stop) const;
  virtual at::Tensor makeRows(int64_t begin, int64_t end, const StopToken& stop) const;
  virtual at::Tensor makeDiagonal(const StopToken& stop) const;

 private:
  int64_t rows_;
  int64_t cols_;
  at::TensorOptions options_;
  mutable const char* label_ = "torch_curvature::operator";
  mutable DataShare share_;
};

/// Throws Error ERR_SHAPE_MISMATCH unless the operator is square.
void requireSquare(const LinearOperator& op, const char* purpose);

}  // namespace tc
