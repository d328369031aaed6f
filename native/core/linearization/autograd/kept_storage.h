#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>
#include <c10/core/Device.h>
#include <c10/core/StorageImpl.h>

#include <cstdint>
#include <unordered_map>
#include <unordered_set>

namespace tc {

/// Counts the bytes that operators allocate on this thread while it exists and that are still held
/// when they are counted: what an autograd graph keeps.
class KeptStorage {
 public:
  /// `existing` are tensors from before, whose storage does not count.
  KeptStorage(c10::Device device, at::TensorList existing);
  ~KeptStorage();
  KeptStorage(const KeptStorage&) = delete;
  KeptStorage& operator=(const KeptStorage&) = delete;

  int64_t bytes() const;

 private:
  using WeakStorage = c10::weak_intrusive_ptr<c10::StorageImpl>;
  static void record(const at::RecordFunction& function);
  void add(const at::Tensor& tensor);
  int64_t deviceBytes() const;

  c10::Device device_;
  int64_t before_ = 0;                                             ///< CUDA
  at::CallbackHandle callback_ = 0;                                ///< CPU, of the outermost scope
  std::unordered_map<const c10::StorageImpl*, WeakStorage> seen_;  ///< CPU
  std::unordered_set<const c10::StorageImpl*> existing_;
  KeptStorage* outer_ = nullptr;
};

}  // namespace tc
