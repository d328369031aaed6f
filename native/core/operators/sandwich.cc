#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>

#include <optional>
#include <utility>

#include "core/linearization/rows.h"
#include "core/operators/centered_parts.h"
#include "core/operators/jacobian.h"
#include "core/runtime/device.h"
#include "core/runtime/sum.h"

namespace tc {
namespace {

/// Bytes of per-sample Jacobians that the exact diagonal makes at once, and the size of one row's
/// up to which making them is better than products with unit vectors.
constexpr int64_t kJacobianBytes = int64_t{64} << 20;
constexpr int64_t kMaxRowBytes = int64_t{512} << 20;
constexpr int64_t kMaxOutputs = 256;
/// Bytes of J V, or of the products, that are made at once for several vectors.
constexpr int64_t kVectorBytes = int64_t{64} << 20;

class Sandwich : public LinearOperator {
 public:
  Sandwich(LinearizationPtr linearization, std::shared_ptr<const OutputMap> map)
      : LinearOperator(linearization->parameters(), linearization->parameters(),
                       linearization->point().params.options()),
        linearization_(std::move(linearization)),
        map_(std::move(map)) {}

  bool symmetric() const override { return !map_->antisymmetric(); }
  const char* engine() const override { return linearization_->engine(); }
  int64_t bytes() const override { return linearization_->bytes() + map_->bytes(); }
  OperatorPtr acrossProcesses(const OperatorPtr& self, const SumOverProcesses& sum) const override {
    return sum(self);
  }
  std::optional<CenteredParts> centeredParts() const override {
    const auto map = std::dynamic_pointer_cast<const CenteredMap>(map_);
    if (!map || map->local()) return {};
    return CenteredParts{weightedSums(linearization_, map), productAround(linearization_, map),
                         map->totalWeight(), share().divisor.value_or(1)};
  }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    if (map_->identity()) return linearization_->matvec(v, stop);
    if (!map_->local()) {
      const at::Tensor u = linearization_->jvp(v, stop);
      return linearization_->vjp(map_->apply(u, 0, linearization_->batch()), stop);
    }
    Sum sum;
    linearization_->forEach(stop, [&](Linearization& part, int64_t begin, int64_t end) {
      const at::Tensor u = part.jvp(v, stop);
      sum.add(part.vjp(mapped(*map_, u, begin, end, linearization_->batch(), stop), stop));
    });
    return sum.totalLike(v);
  }

  at::Tensor applyTransposed(const at::Tensor& v, const StopToken& stop) const override {
    const at::Tensor product = apply(v, stop);
    return symmetric() ? product : product.neg();
  }

  /// Chunk by chunk, so that one that is not kept is made once for all vectors.
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    if (map_->identity()) return linearization_->matmat(vectors, stop);
    if (!map_->local()) return LinearOperator::applyMany(vectors, stop);
    Sum sums;
    linearization_->forEach(stop, [&](Linearization& part, int64_t begin, int64_t end) {
      const int64_t most = std::max(part.output().numel(), cols()) * vectors.element_size();
      const int64_t atOnce = std::max<int64_t>(1, kVectorBytes / std::max<int64_t>(1, most));
      const at::Tensor ofPart = at::empty(vectors.sizes(), vectors.options());
      forEachChunk(vectors.size(0), atOnce, stop, [&](int64_t first, int64_t last) {
        at::Tensor u = part.jvps(vectors.narrow(0, first, last - first), stop);
        for (int64_t i = 0; i < last - first; ++i)
          u[i].copy_(mapped(*map_, u[i], begin, end, linearization_->batch(), stop));
        ofPart.narrow(0, first, last - first).copy_(part.vjps(u, stop));
      });
      sums.add(ofPart);
    });
    return sums.totalLike(vectors);
  }

  at::Tensor makeDiagonal(const StopToken& stop) const override {
    if (map_->antisymmetric()) return at::zeros_like(linearization_->point().params);
    linearization_->requireIndependentRows(stop);  // whichever way it is computed
    if (map_->local() && linearization_->batch() > 0) {
      const RowFactorsOf factors = map_->factors();
      // With a pass for each, more of them than parameters are no gain over unit vectors.
      if (factors.most < cols()) {
        if (auto diagonal = linearization_->diagonal(factors, stop)) return *diagonal;
      }
      if (auto diagonal = fromPerSampleJacobians(stop)) return *diagonal;
    }
    return LinearOperator::makeDiagonal(stop);
  }

 private:
  /// Σₙ diag(JₙᵀCₙJₙ) from materialized Jacobians Jₙ, [outputs, P], of some rows at a time; nothing
  /// where that does not pay or fails.
  std::optional<at::Tensor> fromPerSampleJacobians(const StopToken& stop) const {
    const int64_t batch = linearization_->batch();
    const at::Tensor& y = linearization_->output();
    const int64_t outputs = y.numel() / batch;
    const auto rowBytes =
        static_cast<double>(outputs) * static_cast<double>(cols()) * y.element_size();
    if (outputs > kMaxOutputs || rowBytes > static_cast<double>(kMaxRowBytes)) return {};
    const auto fitting = std::clamp<int64_t>(
        static_cast<int64_t>(static_cast<double>(kJacobianBytes) / rowBytes), 1, 512);
    const int64_t rows = wholeUnits(linearization_->point(), fitting);
    Sum diagonal;
    try {
      forEachChunk(batch, rows, stop, [&](int64_t begin, int64_t end) {
        const int64_t n = end - begin;
        at::Tensor jacobian = at::empty({n * outputs, cols()}, options());
        linearization_->jacobian(begin, end, jacobian, stop);
        jacobian = jacobian.view({n, outputs, cols()});
        const at::Tensor mapped =
            map_->identity() ? jacobian : at::matmul(block(y, begin, end), jacobian);
        diagonal.add((mapped * jacobian).sum(at::IntArrayRef{0, 1}));
      });
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const c10::Error&) {
      return {};
    }
    return diagonal.totalLike(linearization_->point().params);
  }

  /// C of rows [begin, end) as matrices, [n, outputs, outputs].
  at::Tensor block(const at::Tensor& y, int64_t begin, int64_t end) const {
    const at::Tensor part = y.narrow(0, begin, end - begin);
    const int64_t outputs = part.numel() / (end - begin);
    std::vector<at::Tensor> columns;
    for (int64_t output = 0; output < outputs; ++output) {
      const at::Tensor unit = at::zeros_like(part, at::MemoryFormat::Contiguous);
      unit.view({end - begin, outputs}).select(1, output).fill_(1);
      columns.push_back(map_->apply(unit, begin, end).reshape({end - begin, outputs}));
    }
    return at::stack(columns, 2);
  }

  LinearizationPtr linearization_;
  std::shared_ptr<const OutputMap> map_;
};

}  // namespace

OperatorPtr sandwich(LinearizationPtr linearization, std::shared_ptr<const OutputMap> map) {
  return std::make_shared<Sandwich>(std::move(linearization), std::move(map));
}

}  // namespace tc
