#pragma once

#include <ATen/Parallel.h>

namespace tc::test {

/// libtorch's threads while it exists. Small programs are several times faster on one.
class Threads {
 public:
  explicit Threads(int threads) : before_(at::get_num_threads()) { at::set_num_threads(threads); }
  ~Threads() { at::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

}  // namespace tc::test
