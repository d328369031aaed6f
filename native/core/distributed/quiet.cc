#include "core/distributed/quiet.h"

#include <c10/util/Logging.h>

#include <cstdlib>
#include <mutex>

namespace tc {

#ifndef C10_USE_GLOG
namespace {

/// Above everything that does not end the process.
constexpr int kFatal = 3;

std::mutex mutex;
int count = 0;
int before = 0;

}  // namespace

Quiet::Quiet() {
  const std::lock_guard lock(mutex);
  if (count++ > 0 || std::getenv("TORCH_CPP_LOG_LEVEL") != nullptr) return;
  before = FLAGS_caffe2_log_level;
  FLAGS_caffe2_log_level = kFatal;
}

Quiet::~Quiet() {
  const std::lock_guard lock(mutex);
  if (--count > 0 || std::getenv("TORCH_CPP_LOG_LEVEL") != nullptr) return;
  FLAGS_caffe2_log_level = before;
}
#else
Quiet::Quiet() = default;
Quiet::~Quiet() = default;
#endif

}  // namespace tc
