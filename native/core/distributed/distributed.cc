#include "core/distributed/distributed.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <c10/util/StringUtil.h>

#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include "core/runtime/error.h"

namespace tc {
namespace {

/// What is added beside the numbers of a product.
enum Extra { kDivisor, kWeight, kRows, kChain };

/// A number for each number of a row, of which differences do not cancel by chance.
double scattered(int64_t row) {
  const auto mixed = (static_cast<uint64_t>(row) + 1) * 0x9e3779b97f4a7c15;
  return static_cast<double>((mixed ^ (mixed >> 29)) & 0xffffffff);
}

/// Of the data of all ranks, the sum of what the ranks have.
class Distributed : public LinearOperator {
 public:
  Distributed(OperatorPtr own, ProcessGroupPtr group)
      : LinearOperator(own->rows(), own->cols(), own->options()),
        own_(std::move(own)),
        group_(std::move(group)),
        number_(group_->nextNumber()) {
    setLabel(own_->label());
  }

  bool symmetric() const override { return own_->symmetric(); }
  const char* engine() const override { return own_->engine(); }
  int64_t bytes() const override { return own_->bytes(); }
  OperatorPtr acrossProcesses(const OperatorPtr&, const SumOverProcesses&) const override {
    throw Error("ERR_INVALID_ARGUMENT", "the operator is distributed already");
  }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return mean(v, "matvec", stop, [&] { return own_->matvec(v, stop); });
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return mean(u, "rmatvec", stop, [&] { return own_->rmatvec(u, stop); });
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return mean(vectors, "matmat", stop, [&] { return own_->matmat(vectors, stop); });
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return mean(vectors, "rmatmat", stop, [&] { return own_->rmatmat(vectors, stop); });
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    return mean({}, "toDense", stop, [&] { return own_->toDense(stop); });
  }
  at::Tensor makeDiagonal(const StopToken& stop) const override {
    return mean({}, "diagonal", stop, [&] { return own_->diagonal(stop); });
  }

  const LinearOperator& own() const { return *own_; }

  /// Σ of what the ranks make, which is `factor` times what is to be added.
  ProcessGroup::Total sum(const at::Tensor& vectors, const char* product, const StopToken& stop,
                          double factor, const std::function<at::Tensor()>& make) const {
    const DataShare& share = own_->share();
    ProcessGroup::Contribution mine;
    try {
      mine.values = make();
    } catch (...) {
      // The others would wait for this rank's part in vain.
      group_->leave(stop.requested() ? Leaving::kStopped : Leaving::kFailed);
      throw;
    }
    if (factor != 1) mine.values.mul_(factor);
    mine.vectors = vectors;
    mine.subject = c10::str(product, " of ", label(), " [", rows(), ", ", cols(), "], a ",
                            share.divisor ? "mean" : "sum", " over the data, number ", number_);
    mine.extras[kDivisor] = share.divisor.value_or(1);
    if (share.drawn) {
      const auto [first, count] = *share.drawn;
      mine.extras[kRows] = static_cast<double>(count);
      // A chain from 0 to the number of all rows, if no row is there twice or missing: what one
      // rank ends with, another begins with.
      mine.extras[kChain] = scattered(first + count) - scattered(first);
    }
    if (const auto parts = own_->centeredParts()) mine.extras[kWeight] = parts->weight;
    ProcessGroup::Total total = group_->sum(std::move(mine), stop);
    if (share.drawn) requireChain(total.extras);
    return total;
  }

  /// The sum that the mean of all data takes.
  at::Tensor mean(const at::Tensor& vectors, const char* product, const StopToken& stop,
                  const std::function<at::Tensor()>& make) const {
    const auto divisor = own_->share().divisor;
    return divided(sum(vectors, product, stop, divisor.value_or(1), make));
  }
  at::Tensor divided(ProcessGroup::Total total) const {
    if (!own_->share().divisor) return std::move(total.values);
    // Where there are no data, derivatives of their mean are zero.
    const double divisor = total.extras[kDivisor];
    return total.values.mul_(divisor > 0 ? 1 / divisor : 0);
  }

 private:
  static void requireChain(const Agreement::Extras& extras) {
    const auto rows = static_cast<int64_t>(extras[kRows]);
    if (extras[kChain] == scattered(rows) - scattered(0)) return;
    throw Error(
        "ERR_INVALID_ARGUMENT",
        "the ranks drew targets for rows of the same numbers: each should say which of all " +
            std::to_string(rows) +
            " rows it has, fisher(problem, { firstRow: await group.firstRow(rows) })");
  }

  OperatorPtr own_;
  ProcessGroupPtr group_;
  int number_;
};

/// The same around the mean over the data of all ranks.
class DistributedCentered : public Distributed {
 public:
  DistributedCentered(OperatorPtr own, CenteredParts parts, ProcessGroupPtr group)
      : Distributed(std::move(own), std::move(group)), parts_(std::move(parts)) {}

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
    const double weight = sums.extras[kWeight] * root;
    const at::Tensor means = sums.values * (weight > 0 ? 1 / weight : 0);
    const at::Tensor both = at::cat({vectors, means}, 1);
    // The mean is the same on all ranks, but for the root of its divisor.
    return divided(sum(vectors, "matmat", stop, parts_.divisor,
                       [&] { return parts_.around->matmat(both, stop); }));
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return signed_(applyMany(vectors, stop));
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    return LinearOperator::makeDense(stop);
  }
  at::Tensor makeDiagonal(const StopToken& stop) const override {
    return LinearOperator::makeDiagonal(stop);
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
