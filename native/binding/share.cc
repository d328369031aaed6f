#include "binding/share.h"

#include <unordered_set>
#include <vector>

namespace tc::js {
namespace {

/// Bytes that may come to be between two collections. Making as many takes far longer than a
/// collection does.
constexpr int64_t kGrowth = int64_t{256} << 20;
/// More than any heap of V8 holds: to be told of it makes V8 collect all garbage at once.
constexpr int64_t kPressure = int64_t{1} << 45;

/// The shares of this thread that were not given up.
struct Shares {
  std::unordered_set<AnyShare*> all;
  int64_t bytes = 0;
  int64_t bytesKept = 0;  ///< of the last collection
};
thread_local Shares shares;

}  // namespace

AnyShare::AnyShare(Napi::Env env, int64_t bytes) : env_(env), bytes_(bytes) {
  shares.all.insert(this);
  shares.bytes += bytes_;
  Napi::MemoryManagement::AdjustExternalMemory(env_, bytes_);
}

AnyShare::~AnyShare() {
  if (!released_) forget();
}

void AnyShare::setOwner(Napi::Value owner) {
  owner_ = Napi::Reference<Napi::Value>::New(owner, 0);
  if (shares.bytes > shares.bytesKept + kGrowth) collectGarbage(env_);
}

void AnyShare::release() {
  if (released_) return;
  forget();
  drop();
}

void AnyShare::forget() {
  released_ = true;
  shares.all.erase(this);
  shares.bytes -= bytes_;
  if (shares.bytesKept > shares.bytes) shares.bytesKept = shares.bytes;
  Napi::MemoryManagement::AdjustExternalMemory(env_, -bytes_);
}

void AnyShare::collectGarbage(Napi::Env env) {
  const Napi::HandleScope scope(env);
  Napi::MemoryManagement::AdjustExternalMemory(env, kPressure);
  Napi::MemoryManagement::AdjustExternalMemory(env, -kPressure);
  std::vector<AnyShare*> unreachable;
  for (AnyShare* share : shares.all)
    if (!share->owner_.IsEmpty() && share->owner_.Value().IsEmpty()) unreachable.push_back(share);
  for (AnyShare* share : unreachable) share->release();
  shares.bytesKept = shares.bytes;
}

}  // namespace tc::js
