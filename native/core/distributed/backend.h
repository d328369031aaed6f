#pragma once

#ifdef TC_C10D

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "core/distributed/peers.h"
#include "core/runtime/table.h"

namespace tc {

/// A library that adds tensors of several processes.
struct DistributedBackend {
  c10::Device (*device)(const Meeting& meeting);
  c10::intrusive_ptr<c10d::Backend> (*connect)(const c10::intrusive_ptr<c10d::Store>& store,
                                               const Meeting& meeting);
};

/// Those of the libtorch that this was compiled for, by PyTorch's names.
Table<DistributedBackend>& distributedBackends();

}  // namespace tc

#endif
