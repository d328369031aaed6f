#pragma once

#include <memory>
#include <string>
#include <utility>

#include "binding/convert.h"
#include "core/linearization/chunked.h"
#include "core/operators/linear_operator.h"
#include "core/runtime/error.h"

namespace tc::js {

/// JavaScript's share of an object that keeps memory V8 cannot see: V8 is told of its bytes, and
/// the share can be given up before the garbage collector does. Operations in flight hold shares of
/// their own. Lives and dies on JavaScript's thread.
template <typename T>
class Share {
 public:
  Share(Napi::Env env, std::shared_ptr<T> object, int64_t bytes)
      : env_(env), object_(std::move(object)), bytes_(bytes) {
    Napi::MemoryManagement::AdjustExternalMemory(env_, bytes_);
  }
  ~Share() { release(); }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  /// Throws Error ERR_DISPOSED once the share was given up.
  const std::shared_ptr<T>& get(const char* name) const {
    if (!object_) throw Error("ERR_DISPOSED", std::string(name) + " was disposed");
    return object_;
  }
  void release() {
    if (!object_) return;
    object_.reset();
    Napi::MemoryManagement::AdjustExternalMemory(env_, -bytes_);
  }

 private:
  Napi::Env env_;
  std::shared_ptr<T> object_;
  int64_t bytes_;
};

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

template <typename Handle, typename T>
Napi::Value wrapShare(Napi::Env env, std::shared_ptr<T> object, int64_t bytes) {
  return wrap(env, std::shared_ptr<Handle>(new Handle{{env, std::move(object), bytes}}));
}

}  // namespace tc::js
