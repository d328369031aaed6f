#pragma once

#include <cstdint>

namespace tc {

/// Keeps a forward-mode AD level open. libtorch has one level for the whole process and refuses to
/// nest it, while several threads may share it: the first user opens it, the last one closes it.
class DualLevel {
 public:
  DualLevel();
  ~DualLevel();
  DualLevel(const DualLevel&) = delete;
  DualLevel& operator=(const DualLevel&) = delete;

  int64_t index() const { return index_; }

 private:
  int64_t index_;
};

}  // namespace tc
