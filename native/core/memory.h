#pragma once

namespace tc {

/// Lets the C library keep what products free, up to some 256 MiB, for the next ones. By default
/// glibc gives large blocks back to the kernel at once, and fetching them again, page by page, can
/// take as long as the computation. Does nothing where the user has set its tunables
/// (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_), or with another C library.
void keepFreedMemory();

}  // namespace tc
