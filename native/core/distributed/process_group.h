#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "core/distributed/agreement.h"
#include "core/distributed/peers.h"
#include "core/runtime/stop.h"

namespace tc {

/// Processes that compute together, the ranks 0 to N − 1 of them. What they do together they do in
/// the same order, one after another. Where a rank leaves, dies or hangs, where ranks lose contact
/// or do different things, the group has failed for all of them: what is under way and whatever is
/// asked for later throws.
///
/// A thread of the group's own talks to the others, so that whoever waits for them can stop
/// waiting.
class ProcessGroup {
 public:
  /// Meets the others. Throws Error as `meet` does.
  static std::shared_ptr<ProcessGroup> join(const Meeting& meeting, const StopToken& stop);
  ProcessGroup(const Meeting& meeting, std::unique_ptr<Peers> peers);
  /// Hangs up.
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// A number that is the same on every rank for what all of them make in the same order.
  int nextNumber() { return number_++; }

  struct Contribution {
    at::Tensor values;    ///< double or float; its sum has its shape and lies on its device
    std::string subject;  ///< what is added, in words: the same on all ranks
    at::Tensor vectors;   ///< what was multiplied: the same on all ranks; may be undefined
    Agreement::Extras extras{};
  };
  struct Total {
    at::Tensor values;
    Agreement::Extras extras{};
  };
  /// The sum over all ranks, with the same bits on each. Throws Error ERR_TIMEOUT, ERR_DISTRIBUTED,
  /// ERR_DISPOSED; once the token is used, ABORTED, and the rank has left the group.
  Total sum(Contribution contribution, const StopToken& stop);

  /// Takes part in what the ranks do next with words in place of a contribution: ranks that refuse
  /// the same have done the same; where others contribute, the group fails. Never waits.
  void refuse(const std::string& reason);

  /// Tells the others that this rank is no longer there for what they do together. Never waits.
  void leave(Leaving how) noexcept;
  /// Leaves, and waits until all others have left or the group has failed: what they were sent is
  /// lost if this process ends earlier. The port of rank 0 is free afterwards.
  void close(const StopToken& stop);

 private:
  struct State;

  int rank_;
  int size_;
  int number_ = 0;
  std::shared_ptr<State> state_;
};

using ProcessGroupPtr = std::shared_ptr<ProcessGroup>;

}  // namespace tc
