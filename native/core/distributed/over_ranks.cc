#include "core/distributed/over_ranks.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <string>
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

void requireChain(const Agreement::Extras& extras) {
  const auto rows = static_cast<int64_t>(extras[kRows]);
  if (extras[kChain] == scattered(rows) - scattered(0)) return;
  throw Error("ERR_INVALID_ARGUMENT",
              "the ranks drew targets for rows of the same numbers: each should say which of all " +
                  std::to_string(rows) +
                  " rows it has, fisher(problem, { firstRow: await group.firstRow(rows) })");
}

}  // namespace

OverRanks::OverRanks(int64_t rows, OperatorPtr own, ProcessGroupPtr group)
    : LinearOperator(rows, own->cols(), own->options()),
      own_(std::move(own)),
      group_(std::move(group)),
      number_(group_->nextNumber()) {
  setLabel(own_->label());
}

OperatorPtr OverRanks::acrossProcesses(const OperatorPtr&, const SumOverProcesses&) const {
  throw Error("ERR_INVALID_ARGUMENT", "the operator is distributed already");
}

ProcessGroup::Total OverRanks::sum(const at::Tensor& vectors, const char* product,
                                   const StopToken& stop, double factor,
                                   const std::function<at::Tensor()>& make) const {
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

at::Tensor OverRanks::mean(const at::Tensor& vectors, const char* product, const StopToken& stop,
                           const std::function<at::Tensor()>& make) const {
  const auto divisor = own_->share().divisor;
  return divided(sum(vectors, product, stop, divisor.value_or(1), make));
}

at::Tensor OverRanks::divided(ProcessGroup::Total total) const {
  if (!own_->share().divisor) return std::move(total.values);
  // Where there are no data, derivatives of their mean are zero.
  const double divisor = total.extras[kDivisor];
  return total.values.mul_(divisor > 0 ? 1 / divisor : 0);
}

double OverRanks::weightOf(const ProcessGroup::Total& total) { return total.extras[kWeight]; }

}  // namespace tc
