#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "binding/js.h"
#include "core/runtime/error.h"

namespace tc::js {

/// JavaScript's share of an object that keeps memory V8 cannot see: V8 is told of its bytes, and
/// the share can be given up before the garbage collector does. Operations in flight hold shares of
/// their own. Lives and dies on JavaScript's thread.
///
/// Finalizers run in a later turn of the event loop, of which a synchronous loop has none. So where
/// many bytes came to be since the last time, a new share makes V8 collect its garbage, and gives
/// up those whose owner was collected: what is dropped without `dispose` is bounded.
class AnyShare {
 public:
  AnyShare(Napi::Env env, int64_t bytes);
  AnyShare(const AnyShare&) = delete;
  AnyShare& operator=(const AnyShare&) = delete;
  virtual ~AnyShare();

  /// Names the JavaScript value that keeps this share. May collect garbage, but not this.
  void setOwner(Napi::Value owner);
  /// Gives the share up; once is enough.
  void release();

 protected:
  virtual void drop() = 0;

 private:
  static void collectGarbage(Napi::Env env);
  /// Settles the accounts.
  void forget();

  Napi::Env env_;
  int64_t bytes_;
  bool released_ = false;
  Napi::Reference<Napi::Value> owner_;  ///< weak
};

template <typename T>
class Share final : public AnyShare {
 public:
  Share(Napi::Env env, std::shared_ptr<T> object, int64_t bytes)
      : AnyShare(env, bytes), object_(std::move(object)) {}

  /// Throws Error ERR_DISPOSED once the share was given up.
  const std::shared_ptr<T>& get(const char* name) const {
    if (!object_) throw Error("ERR_DISPOSED", std::string(name) + " was disposed");
    return object_;
  }

 private:
  void drop() override { object_.reset(); }

  std::shared_ptr<T> object_;
};

}  // namespace tc::js
