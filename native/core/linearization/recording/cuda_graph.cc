#include "core/linearization/recording/cuda_graph.h"

#include "core/linearization/recording/captured_graph.h"

#ifdef TC_CUDA_GRAPHS
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string_view>
#include <utility>
#include <vector>
#endif

namespace tc {
namespace {

/// Held while a side stream is given work: by one thread at a time, on whichever device, since
/// libtorch's allocator must not be asked to return memory of any device during a capture.
std::mutex mutex;

#ifdef TC_CUDA_GRAPHS

namespace allocator = c10::cuda::CUDACachingAllocator;

/// What the recorders of a device share.
struct Side {
  c10::cuda::CUDAStream stream;
  std::weak_ptr<GraphMemory> memory;
};

/// A stream of its own: one of libtorch's, which it hands out in turn, could be given work by
/// another thread during a capture, and that would become part of the graph.
c10::cuda::CUDAStream newStream(c10::DeviceIndex device) {
  const c10::cuda::CUDAGuard guard(device);
  cudaStream_t stream = nullptr;
  C10_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return c10::cuda::getStreamFromExternal(stream, device);
}

Side& sideOf(c10::DeviceIndex device) {
  // Never destroyed: when static objects are, CUDA may be gone.
  static auto& sides = *new std::map<c10::DeviceIndex, Side>;
  auto found = sides.find(device);
  if (found == sides.end()) found = sides.emplace(device, Side{newStream(device), {}}).first;
  return found->second;
}

class CudaRecorder : public Recorder {
 public:
  explicit CudaRecorder(c10::DeviceIndex device) : device_(device) {
    const std::lock_guard lock(mutex);
    side_ = &sideOf(device);
  }

  ~CudaRecorder() override {
    const std::lock_guard lock(mutex);
    try {
      side_->stream.synchronize();
    } catch (...) {  // NOLINT(bugprone-empty-catch): whoever computes next is told
    }
    recordings_.clear();
    memory_.reset();
  }

  at::Tensor run(const std::function<at::Tensor()>& body) override {
    const std::lock_guard lock(mutex);
    const at::Tensor result = aside(body);
    // Its memory belongs to the side stream, but the caller's will read it.
    result.record_stream(c10::cuda::getCurrentCUDAStream(device_).unwrap());
    return result;
  }

  Function record(const Function& function, const at::Tensor& input) override {
    const std::lock_guard lock(mutex);
    const int64_t before = reservedBytes();
    auto recording = capture(function, input);
    if (!recording) {
      (void)cudaGetLastError();  // or the next launch of this thread would report it
      return {};
    }
    bytes_ += std::max<int64_t>(0, reservedBytes() - before);
    recordings_.push_back(std::move(recording));
    return [this, &replayed = *recordings_.back()](const at::Tensor& each) {
      return replay(replayed, each);
    };
  }

  int64_t bytes() const override { return bytes_; }

 private:
  struct Recording {
    CapturedGraph graph;
    at::Tensor input;  ///< both in memory that other graphs may use, too
    at::Tensor output;
  };

  /// body() on the side stream, between what the current stream was given before and what it is
  /// given afterwards.
  at::Tensor aside(const std::function<at::Tensor()>& body) {
    const auto caller = c10::cuda::getCurrentCUDAStream(device_);
    forked_.record(caller);
    forked_.block(side_->stream);
    const auto join = [&] {
      joined_.record(side_->stream);
      joined_.block(caller);
    };
    at::Tensor result;
    try {
      // libtorch runs each backward node on the stream on which its forward ran, so that all of a
      // linearization, made like this, stays on the side stream.
      const c10::cuda::CUDAStreamGuard guard(side_->stream);
      result = body();
    } catch (...) {
      join();
      throw;
    }
    join();
    return result;
  }

  /// Null where it cannot be recorded.
  std::unique_ptr<Recording> capture(const Function& function, const at::Tensor& input) {
    const c10::cuda::CUDAStreamGuard guard(side_->stream);
    try {
      auto recording = std::make_unique<Recording>();
      recording->graph.begin(sharedMemory());
      const at::Tensor x = at::empty_like(input, input.options(), at::MemoryFormat::Contiguous);
      const at::Tensor y = function(x).contiguous();
      recording->graph.end();
      recording->input = borrowed(x);
      recording->output = borrowed(y);
      return recording;
    } catch (...) {  // an operator that waits for the device, too little memory
      return nullptr;
    }
  }

  at::Tensor replay(Recording& recording, const at::Tensor& input) {
    const std::lock_guard lock(mutex);
    return aside([&] {
             recording.input.copy_(input);
             recording.graph.replay();
             return recording.output;
           })
        .clone();  // on the caller's stream, before any other graph can run
  }

  /// A tensor in the same memory that does not own it: as long as its graph exists, so does that
  /// memory, and no graph runs between what writes it and what reads it.
  static at::Tensor borrowed(const at::Tensor& tensor) {
    return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.options());
  }

  const std::shared_ptr<GraphMemory>& sharedMemory() {
    if (!memory_) memory_ = side_->memory.lock();
    if (!memory_) {
      memory_ = std::make_shared<GraphMemory>(device_);
      side_->memory = memory_;
    }
    return memory_;
  }

  int64_t reservedBytes() const {
    return allocator::getDeviceStats(device_).reserved_bytes[0].current;
  }

  c10::DeviceIndex device_;
  Side* side_;
  c10::cuda::CUDAEvent forked_;
  c10::cuda::CUDAEvent joined_;
  std::shared_ptr<GraphMemory> memory_;
  std::vector<std::unique_ptr<Recording>> recordings_;
  int64_t bytes_ = 0;
};

bool switchedOff() {
  const char* value = std::getenv("TORCH_CURVATURE_CUDA_GRAPHS");
  return value != nullptr && std::string_view(value) == "0";
}

#endif  // TC_CUDA_GRAPHS

}  // namespace

std::unique_ptr<Recorder> cudaGraphs(c10::Device device, int64_t products) {
#ifdef TC_CUDA_GRAPHS
  // CUDA's own allocator gives a graph memory that others cannot share.
  if (device.is_cuda() && products > kProductsBeforeRecording && !switchedOff() &&
      allocator::name() == "native") {
    return std::make_unique<CudaRecorder>(device.index());
  }
#else
  (void)device;
  (void)products;
#endif
  return nullptr;
}

std::unique_lock<std::mutex> withoutCaptures() { return std::unique_lock(mutex); }

}  // namespace tc
