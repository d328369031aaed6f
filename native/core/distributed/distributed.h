#pragma once

#include "core/distributed/process_group.h"
#include "core/operators/linear_operator.h"

namespace tc {

/// The operator of the data of all ranks, where `own` is that of this rank's: the same on every
/// rank, with the same bits in every product. A product takes one sum over the ranks, of as many
/// numbers as it has; one that subtracts a mean over the data takes a second one, of the mean.
///
/// Of means of a loss, each rank's operator counts by what its own mean was divided by. Every rank
/// has to ask for the same products with the same vectors, in the same order. Throws Error
/// ERR_INVALID_ARGUMENT where the operator is no sum over data; its products throw as
/// `ProcessGroup::sum`.
OperatorPtr distributed(const OperatorPtr& own, const ProcessGroupPtr& group);

}  // namespace tc
