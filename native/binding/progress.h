#pragma once

#include <cstdint>
#include <memory>

#include "binding/convert.h"

namespace tc::js {

/// Reports of an iterative operation to a JavaScript function (rightHandSide, iteration,
/// residualNorm). From another thread they are queued and never block; what is still queued when
/// the operation ends is delivered before its promise settles. When the function returns false or
/// throws, `report` returns false from then on; `finish` throws what it threw.
class Progress {
 public:
  /// Null without a function. `memory` tells where reports come from: kBorrow, JavaScript's own
  /// thread; kCopy, another one.
  static std::shared_ptr<Progress> make(Napi::Value function, Memory memory);
  virtual ~Progress() = default;

  /// On the computing thread. False: end the operation.
  virtual bool report(int64_t rightHandSide, int64_t iteration, double residualNorm) = 0;
  /// On JavaScript's thread, when the operation has ended.
  virtual void finish() = 0;
};

}  // namespace tc::js
