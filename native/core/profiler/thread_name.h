#pragma once

#include <cstdint>
#include <string>

namespace tc::profiling {

/// The system's number and name of the calling thread; 0 where there are none.
struct ThisThread {
  int64_t id = 0;
  std::string name;
};
ThisThread thisThread();

/// Gives the calling thread the name "<kind>-<n>", counted for the process, by which traces and
/// debuggers show it; once, and of 15 letters at most. Not for threads of others.
void nameThisThread(const char* kind);

}  // namespace tc::profiling
