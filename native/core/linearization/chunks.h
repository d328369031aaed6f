#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/runtime/stop.h"

namespace tc {

/// Something that is made for each chunk of the batch and costs memory (`T::bytes()`): kept while a
/// budget lasts, made again for every use beyond it. Uses are serialized by a mutex.
template <typename T>
class Chunks {
 public:
  using Make = std::function<std::unique_ptr<T>(int64_t begin, int64_t end, const StopToken& stop)>;

  /// Makes every chunk once and shows it to `visit(T&, begin, end)`. `chunkSize` is the number of
  /// rows, `budget` the bytes that may be kept.
  template <typename Visit>
  Chunks(int64_t batch, int64_t chunkSize, int64_t budget, Make make, const StopToken& stop,
         Visit&& visit)
      : make_(std::move(make)) {
    for (int64_t begin = 0; begin < batch; begin += chunkSize) {
      stop.poll();
      const int64_t end = std::min(batch, begin + chunkSize);
      auto made = make_(begin, end, stop);
      visit(*made, begin, end);
      const int64_t bytes = made->bytes();
      if (bytes_ + bytes > budget) made.reset();
      if (made) bytes_ += bytes;
      entries_.push_back({begin, end, std::move(made)});
    }
  }

  /// Calls `body(T&, begin, end)` for each chunk in order; looks at the stop token between them.
  template <typename Body>
  void forEach(const StopToken& stop, Body&& body) {
    const auto lock = lockOf(mutex_, stop);
    for (const Entry& entry : entries_) {
      stop.poll();
      if (entry.kept) {
        body(*entry.kept, entry.begin, entry.end);
      } else {
        body(*make_(entry.begin, entry.end, stop), entry.begin, entry.end);
      }
    }
  }

  /// Bytes that are kept.
  int64_t bytes() const { return bytes_; }
  size_t size() const { return entries_.size(); }
  size_t kept() const {
    return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(),
                                             [](const Entry& entry) { return !!entry.kept; }));
  }

 private:
  struct Entry {
    int64_t begin;
    int64_t end;
    std::unique_ptr<T> kept;
  };

  Make make_;
  std::vector<Entry> entries_;
  std::mutex mutex_;
  int64_t bytes_ = 0;
};

}  // namespace tc
