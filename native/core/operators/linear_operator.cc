#include "core/operators/linear_operator.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <string>

#include "core/profiler/stage.h"
#include "core/runtime/bytes.h"
#include "core/runtime/device.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// Unit vectors that are multiplied at once.
constexpr int64_t kProbeBlock = 64;

void check(const at::Tensor& vectors, int64_t dims, int64_t length,
           const at::TensorOptions& options) {
  if (vectors.dim() != dims || vectors.size(-1) != length) {
    std::string shape;
    for (const int64_t size : vectors.sizes())
      shape += (shape.empty() ? "" : ", ") + std::to_string(size);
    throw Error("ERR_SHAPE_MISMATCH", std::string("the operator takes ") +
                                          (dims == 1 ? "a vector [" : "vectors [k, ") +
                                          std::to_string(length) + "], got [" + shape + "]");
  }
  if (vectors.scalar_type() != c10::typeMetaToScalarType(options.dtype())) {
    throw Error("ERR_DTYPE_MISMATCH", std::string("the operator takes vectors of ") +
                                          at::toString(c10::typeMetaToScalarType(options.dtype())) +
                                          ", got " + at::toString(vectors.scalar_type()));
  }
}

/// Throws Error ERR_OUT_OF_MEMORY where a matrix of this size would not fit.
void requireDense(int64_t rows, int64_t cols, const at::TensorOptions& options) {
  requireMemory(options.device(), bytesOf(rows, cols, options), "the operator as a dense matrix");
}

/// Calls `use(block, first)` with blocks of unit vectors, [k, length].
template <typename Use>
void forUnitVectors(int64_t length, const at::TensorOptions& options, const StopToken& stop,
                    Use&& use) {
  for (int64_t first = 0; first < length; first += kProbeBlock) {
    stop.poll();
    const int64_t count = std::min(kProbeBlock, length - first);
    at::Tensor block = at::zeros({count, length}, options);
    block.narrow(1, first, count).fill_diagonal_(1);
    use(block, first);
  }
}

}  // namespace

at::Tensor LinearOperator::matvec(const at::Tensor& v, const StopToken& stop) const {
  const profiling::Stage stage(label_, {v});
  stage.describes(cols_, -1, engine());
  stop.poll();
  check(v, 1, cols_, options_);
  return apply(v, stop);
}

at::Tensor LinearOperator::rmatvec(const at::Tensor& u, const StopToken& stop) const {
  const profiling::Stage stage(label_, {u});
  stage.describes(cols_, -1, engine());
  stop.poll();
  check(u, 1, rows_, options_);
  return applyTransposed(u, stop);
}

at::Tensor LinearOperator::matmat(const at::Tensor& vectors, const StopToken& stop) const {
  const profiling::Stage stage(label_, {vectors});
  stage.describes(cols_, -1, engine());
  stop.poll();
  check(vectors, 2, cols_, options_);
  return applyMany(vectors, stop);
}

at::Tensor LinearOperator::rmatmat(const at::Tensor& vectors, const StopToken& stop) const {
  const profiling::Stage stage(label_, {vectors});
  stage.describes(cols_, -1, engine());
  stop.poll();
  check(vectors, 2, rows_, options_);
  return applyTransposedMany(vectors, stop);
}

at::Tensor LinearOperator::toDense(const StopToken& stop) const {
  const profiling::Stage stage("torch_curvature::to_dense");
  stage.describes(cols_, -1, engine());
  requireDense(rows_, cols_, options_);
  return makeDense(stop);
}

at::Tensor LinearOperator::toDenseRows(int64_t begin, int64_t end, const StopToken& stop) const {
  const profiling::Stage stage("torch_curvature::to_dense");
  stage.describes(cols_, -1, engine());
  if (begin < 0 || begin > end || end > rows_) {
    throw Error("ERR_INVALID_ARGUMENT", "rows should be within 0 and " + std::to_string(rows_) +
                                            ", got " + std::to_string(begin) + " to " +
                                            std::to_string(end));
  }
  requireDense(end - begin, cols_, options_);
  return makeRows(begin, end, stop);
}

at::Tensor LinearOperator::diagonal(const StopToken& stop) const {
  const profiling::Stage stage("torch_curvature::diagonal");
  stage.describes(cols_, -1, engine());
  requireSquare(*this, "diagonal");
  return makeDiagonal(stop);
}

OperatorPtr LinearOperator::acrossProcesses(const OperatorPtr&, const SumOverProcesses&) const {
  throw Error("ERR_INVALID_ARGUMENT",
              "an operator of this kind, of all data, is no sum of those of parts of the data");
}

at::Tensor LinearOperator::applyTransposed(const at::Tensor& u, const StopToken& stop) const {
  return apply(u, stop);
}

at::Tensor LinearOperator::applyMany(const at::Tensor& vectors, const StopToken& stop) const {
  at::Tensor results = at::empty({vectors.size(0), rows_}, options_);
  for (int64_t i = 0; i < vectors.size(0); ++i) {
    stop.poll();
    results[i].copy_(apply(vectors[i], stop));
  }
  return results;
}

at::Tensor LinearOperator::applyTransposedMany(const at::Tensor& vectors,
                                               const StopToken& stop) const {
  if (symmetric()) return applyMany(vectors, stop);
  at::Tensor results = at::empty({vectors.size(0), cols_}, options_);
  for (int64_t i = 0; i < vectors.size(0); ++i) {
    stop.poll();
    results[i].copy_(applyTransposed(vectors[i], stop));
  }
  return results;
}

at::Tensor LinearOperator::makeDense(const StopToken& stop) const {
  at::Tensor dense = at::empty({rows_, cols_}, options_);
  if (rows_ < cols_) {
    forUnitVectors(rows_, options_, stop, [&](const at::Tensor& block, int64_t first) {
      dense.narrow(0, first, block.size(0)).copy_(applyTransposedMany(block, stop));
    });
  } else {
    forUnitVectors(cols_, options_, stop, [&](const at::Tensor& block, int64_t first) {
      dense.narrow(1, first, block.size(0)).copy_(applyMany(block, stop).t());
    });
  }
  return dense;
}

at::Tensor LinearOperator::makeRows(int64_t begin, int64_t end, const StopToken& stop) const {
  at::Tensor units = at::zeros({end - begin, rows_}, options_);
  units.narrow(1, begin, end - begin).fill_diagonal_(1);
  return applyTransposedMany(units, stop);
}

at::Tensor LinearOperator::makeDiagonal(const StopToken& stop) const {
  at::Tensor result = at::empty({rows_}, options_);
  forUnitVectors(rows_, options_, stop, [&](const at::Tensor& block, int64_t first) {
    result.narrow(0, first, block.size(0))
        .copy_(applyMany(block, stop).narrow(1, first, block.size(0)).diagonal());
  });
  return result;
}

void requireSquare(const LinearOperator& op, const char* purpose) {
  if (op.rows() == op.cols()) return;
  throw Error("ERR_SHAPE_MISMATCH",
              std::string(purpose) + " needs a square operator, this one is " +
                  std::to_string(op.rows()) + " by " + std::to_string(op.cols()));
}

}  // namespace tc
