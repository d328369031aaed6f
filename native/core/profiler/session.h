#pragma once

#include <ATen/record_function.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <memory>
#include <string>
#include <vector>

#include "core/profiler/profile.h"
#include "core/profiler/stage_log.h"

namespace tc {

/// A named region of a profile. It may end after regions that began later, and on its own when the
/// profile stops.
class ProfilerRegion {
 public:
  explicit ProfilerRegion(const std::string& name);
  /// Once is enough; later calls do nothing. `async`: other work of this thread may have happened
  /// in between, which is not the region's own.
  void end(bool async);
  const std::string& name() const { return name_; }
  bool async() const { return async_; }

 private:
  std::string name_;
  std::unique_ptr<at::RecordFunction> record_;
  bool async_ = false;
};

/// Records what the calling thread does, and what runs elsewhere under an at::ThreadLocalState
/// captured on this thread meanwhile. Every member is for that thread alone, and work under such a
/// state must have ended before the session stops or is destroyed.
///
/// libtorch can record one profile at a time in the process, so a second session is refused.
class ProfilerSession {
 public:
  /// Throws Error ERR_PROFILER_BUSY while another session exists, ERR_DEVICE_UNAVAILABLE.
  explicit ProfilerSession(const ProfilerOptions& options);
  /// Drops the recording unless it was stopped.
  ~ProfilerSession();
  ProfilerSession(const ProfilerSession&) = delete;
  ProfilerSession& operator=(const ProfilerSession&) = delete;

  Profile stop();

  std::shared_ptr<ProfilerRegion> enter(const std::string& name);
  const ProfilerOptions& options() const { return options_; }

 private:
  /// The process's only place for a session.
  class Slot {
   public:
    Slot();
    ~Slot();
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
  };

  void endRegions();

  ProfilerOptions options_;
  Slot slot_;
  std::shared_ptr<profiling::StageLog> stages_ = std::make_shared<profiling::StageLog>();
  bool recording_ = false;
  /// libtorch's own, whose end would use what a process that exits while it records has no more:
  /// nobody destroys the session then.
  std::shared_ptr<c10::DebugInfoBase> state_;
  std::vector<std::shared_ptr<ProfilerRegion>> regions_;  ///< in the order they began
};

}  // namespace tc
