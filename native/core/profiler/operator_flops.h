#pragma once

#include <cstdint>

namespace tc::profiling {

class Meter;

/// While one exists, the meter of the calling thread, and of threads that help it, counts what
/// libtorch's operators do, too. Each of them costs a microsecond or two more.
class OperatorFlops {
 public:
  /// Does nothing where nobody asks.
  OperatorFlops();
  ~OperatorFlops();
  OperatorFlops(const OperatorFlops&) = delete;
  OperatorFlops& operator=(const OperatorFlops&) = delete;

 private:
  uint64_t handle_ = 0;
};

/// Counts what a stage of the calling thread does, for the meter of that.
void countStage(Meter& meter, int64_t flops);

}  // namespace tc::profiling
