#include "core/distributed/distributed.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include <cmath>
#include <utility>

#include "core/distributed/over_ranks.h"

namespace tc {
namespace {

/// Of the data of all ranks, the sum of what the ranks have.
class Distributed : public OverRanks {
 public:
  Distributed(const OperatorPtr& own, ProcessGroupPtr group)
      : OverRanks(own->rows(), own, std::move(group)) {}

  bool symmetric() const override { return own().symmetric(); }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return mean(v, "matvec", stop, [&] { return own().matvec(v, stop); });
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return mean(u, "rmatvec", stop, [&] { return own().rmatvec(u, stop); });
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return mean(vectors, "matmat", stop, [&] { return own().matmat(vectors, stop); });
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return mean(vectors, "rmatmat", stop, [&] { return own().rmatmat(vectors, stop); });
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    return mean({}, "toDense", stop, [&] { return own().toDense(stop); });
  }
  at::Tensor makeDiagonal(const StopToken& stop) const override {
    return mean({}, "diagonal", stop, [&] { return own().diagonal(stop); });
  }
};

/// The same around the mean over the data of all ranks.
class DistributedCentered : public OverRanks {
 public:
  DistributedCentered(const OperatorPtr& own, CenteredParts parts, ProcessGroupPtr group)
      : OverRanks(own->rows(), own, std::move(group)), parts_(std::move(parts)) {}

  bool symmetric() const override { return own().symmetric(); }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return applyMany(v.unsqueeze(0), stop).squeeze(0);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return signed_(apply(u, stop));
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    const double root = std::sqrt(parts_.divisor);
    const ProcessGroup::Total sums = sum(vectors, "the mean for matmat", stop, root,
                                         [&] { return parts_.sums->matmat(vectors, stop); });
    // Where nothing has weight, or on a rank without data, there is nothing to subtract it from.
    const double weight = weightOf(sums) * root;
    const at::Tensor means = sums.values * (weight > 0 ? 1 / weight : 0);
    const at::Tensor both = at::cat({vectors, means}, 1);
    // The mean is the same on all ranks, but for the root of its divisor.
    return divided(sum(vectors, "matmat", stop, parts_.divisor,
                       [&] { return parts_.around->matmat(both, stop); }));
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return signed_(applyMany(vectors, stop));
  }

 private:
  at::Tensor signed_(const at::Tensor& product) const {
    return symmetric() ? product : product.neg();
  }

  CenteredParts parts_;
};

}  // namespace

OperatorPtr distributed(const OperatorPtr& own, const ProcessGroupPtr& group) {
  return own->acrossProcesses(own, [&](const OperatorPtr& each) -> OperatorPtr {
    if (auto parts = each->centeredParts())
      return std::make_shared<DistributedCentered>(each, std::move(*parts), group);
    return std::make_shared<Distributed>(each, group);
  });
}

}  // namespace tc
