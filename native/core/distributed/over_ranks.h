#pragma once

#include <functional>

#include "core/distributed/process_group.h"
#include "core/operators/linear_operator.h"

namespace tc {

/// An operator of the data of all ranks, each of which has one of its own data: each product makes
/// sums over the ranks of what these have. Every rank has to ask for the same products with the
/// same vectors, in the same order.
class OverRanks : public LinearOperator {
 public:
  const char* engine() const override { return own_->engine(); }
  int64_t bytes() const override { return own_->bytes(); }
  /// Throws Error ERR_INVALID_ARGUMENT: it is that already.
  OperatorPtr acrossProcesses(const OperatorPtr& self, const SumOverProcesses& sum) const override;

 protected:
  OverRanks(int64_t rows, OperatorPtr own, ProcessGroupPtr group);

  const LinearOperator& own() const { return *own_; }

  /// Σ of what the ranks `make`, each times its `factor`. `product` says of what; `vectors`, which
  /// may be undefined, are multiplied, and the same on all ranks.
  ProcessGroup::Total sum(const at::Tensor& vectors, const char* product, const StopToken& stop,
                          double factor, const std::function<at::Tensor()>& make) const;
  /// The sum that the mean of all data takes: what ranks make is divided by what their own means
  /// are.
  at::Tensor mean(const at::Tensor& vectors, const char* product, const StopToken& stop,
                  const std::function<at::Tensor()>& make) const;
  at::Tensor divided(ProcessGroup::Total total) const;
  /// Of an operator that subtracts a mean over the data of all ranks, what that mean divides by.
  static double weightOf(const ProcessGroup::Total& total);

 private:
  OperatorPtr own_;
  ProcessGroupPtr group_;
  int number_;
};

}  // namespace tc
