#pragma once

#include <memory>
#include <utility>

#include "binding/convert.h"
#include "binding/share.h"
#include "core/distributed/process_group.h"
#include "core/linearization/chunked.h"
#include "core/operators/linear_operator.h"

namespace tc::js {

struct LinearizationHandle {
  static constexpr napi_type_tag kTypeTag = {0x8e1d5f30b7c24a96, 0xa45f0c9273de6b18};
  Share<ChunkedLinearization> share;
};

struct OperatorHandle {
  static constexpr napi_type_tag kTypeTag = {0xd3740a6e91bf4c05, 0x97c2e8f1465a3b7d};
  Share<const LinearOperator> share;
};

inline const std::shared_ptr<ChunkedLinearization>& linearizationOf(Napi::Value handle) {
  return unwrap<LinearizationHandle>(handle, "linearization")->share.get("the linearization");
}

inline const OperatorPtr& operatorOf(Napi::Value handle) {
  return unwrap<OperatorHandle>(handle, "operator")->share.get("the operator");
}

struct GroupHandle {
  static constexpr napi_type_tag kTypeTag = {0x2fa94d17c06be853, 0xb3187e5d90c2a64f};
  Share<ProcessGroup> share;
};

inline const ProcessGroupPtr& groupOf(Napi::Value handle) {
  return unwrap<GroupHandle>(handle, "group")->share.get("the process group");
}

/// Data that stay where they are between calls.
struct TensorHandle {
  static constexpr napi_type_tag kTypeTag = {0x51c8e3a7f09b4d26, 0xb86d17f24ae05c93};
  Share<const at::Tensor> share;
};

inline const at::Tensor& tensorOf(Napi::Value handle) {
  return *unwrap<TensorHandle>(handle, "tensor")->share.get("the bound problem");
}

template <typename Handle, typename T>
Napi::Value wrapShare(Napi::Env env, std::shared_ptr<T> object, int64_t bytes) {
  const auto handle = std::shared_ptr<Handle>(new Handle{{env, std::move(object), bytes}});
  const Napi::Value owner = wrap(env, handle);
  handle->share.setOwner(owner);
  return owner;
}

}  // namespace tc::js
