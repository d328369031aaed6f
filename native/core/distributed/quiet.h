#pragma once

namespace tc {

/// While one exists, libtorch's sockets do not write to the standard error: each of their retries
/// comes with a backtrace there, and how they end is told by an Error. Where TORCH_CPP_LOG_LEVEL is
/// set, it counts.
class Quiet {
 public:
  Quiet();
  ~Quiet();
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
};

}  // namespace tc
