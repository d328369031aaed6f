#pragma once

#include "binding/request.h"
#include "core/linearization/chunked.h"
#include "core/operators/problem.h"

namespace tc::js {

/// `engine`, `chunkSize`, `memoryBudget` and `products` of a request.
ChunkOptions chunkOptions(const Fields& fields);

/// `loss`, `lossOptions`, `lossProgram`, `sampler`, `l2`, `reduction`, `target`, `weights`,
/// `center` and `per` of a request, copied.
Problem problemOf(const Fields& fields);

}  // namespace tc::js
