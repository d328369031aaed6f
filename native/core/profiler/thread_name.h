#pragma once

namespace tc::profiling {

/// Gives the calling thread the name "<kind>-<n>", counted for the process, by which traces and
/// debuggers show it; once, and of 15 letters at most. Not for threads of others.
void nameThisThread(const char* kind);

}  // namespace tc::profiling
