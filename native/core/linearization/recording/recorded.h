#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "core/linearization/linearization.h"

namespace tc {

/// A place to compute that can record what an operator sequence asks of the device, and ask it
/// again without going through the operators.
class Recorder {
 public:
  using Function = std::function<at::Tensor(const at::Tensor& input)>;

  virtual ~Recorder() = default;

  /// body(), computed in this place. The result may be used everywhere.
  virtual at::Tensor run(const std::function<at::Tensor()>& body) = 0;
  /// `function` recorded for inputs like `input`: a function that gives the same results, tensors
  /// of their own, for as long as the recorder exists. Empty where it cannot be recorded. What
  /// `function` does besides launching work on the device happens once, here, and not in a replay.
  virtual Function record(const Function& function, const at::Tensor& input) = 0;
  /// Bytes that the recordings hold.
  virtual int64_t bytes() const = 0;
};

using MakeLinearization = std::function<std::unique_ptr<Linearization>()>;

/// Products run through their operators before they are recorded: the first may still change its
/// strategy or fail for good, and by the second every library has allocated what it keeps.
inline constexpr int64_t kProductsBeforeRecording = 2;

/// The linearization that `make` makes, with each kind of product recorded after
/// kProductsBeforeRecording of it. One that cannot be recorded goes on through its operators.
std::unique_ptr<Linearization> recorded(std::unique_ptr<Recorder> recorder,
                                        const MakeLinearization& make);

}  // namespace tc
