#pragma once

#include <cstddef>
#include <cstdint>

namespace tc {

/// Lets the C library keep what products free, up to some 256 MiB, for the next ones. By default
/// glibc gives large blocks back to the kernel at once, and fetching them again, page by page, can
/// take as long as the computation. Does nothing where the user has set its tunables
/// (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_), or with another C library.
void keepFreedMemory();

/// Counts the memory of tensors on the CPU, and refuses allocations beyond the limit or beyond what
/// is available, with a c10::OutOfMemoryError: the kernel promises memory that it does not have,
/// and ends the process when it is written to. Blocks below `kSmallBlock` are not looked at, large
/// ones get large pages. Once is enough for a process.
void guardAllocations();

constexpr size_t kSmallBlock = 64 << 10;

/// Bytes of the blocks that tensors on the CPU hold.
int64_t bytesHeld();
/// The most that they may hold together; the largest number (the default) is no limit.
void setMemoryLimit(int64_t bytes);
int64_t memoryLimit();
/// What the limit leaves for others.
int64_t memoryLeft();

/// Asks the kernel for large pages where memory, a few MiB of it or more, is about to be written
/// for the first time: by small pages, vectors of ten million parameters take longer to be mapped
/// than to be computed. Contents stay.
void preferLargePages(void* data, size_t bytes);

}  // namespace tc
