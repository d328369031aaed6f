#include "core/linearization/recording/cuda_graph.h"

#include <torch/version.h>

// Before 2.14, a capture that failed left libtorch's allocator believing in it for ever.
#if defined(TC_CUDA) && \
    (TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 14))
#define TC_CUDA_GRAPHS
#endif

#ifdef TC_CUDA_GRAPHS
#include <ATen/cuda/CUDAGraph.h>
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

// Declared here because its header needs those of cuBLAS, cuSPARSE and cuSOLVER.
namespace at::cuda {
TORCH_CUDA_CPP_API void clearCublasWorkspacesForStream(cudaStream_t stream);
}  // namespace at::cuda
#endif

namespace tc {
namespace {

/// Held while a side stream is given work: by one thread at a time, on whichever device, since
/// libtorch's allocator must not be asked to return memory of any device during a capture.
std::mutex mutex;

#ifdef TC_CUDA_GRAPHS

namespace allocator = c10::cuda::CUDACachingAllocator;

/// The memory that the graphs of a device use while they run. Given back to the device with the
/// last of them.
class Pool {
 public:
  explicit Pool(c10::DeviceIndex device) : device_(device), id_(at::cuda::graph_pool_handle()) {
    allocator::createOrIncrefPool(device_, id_);
  }
  ~Pool() {
    try {
      allocator::releasePool(device_, id_);
      allocator::emptyCache(id_);
    } catch (...) {  // NOLINT(bugprone-empty-catch): nobody is left to be told
    }
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  c10::MempoolId_t id() const { return id_; }

 private:
  c10::DeviceIndex device_;
  c10::MempoolId_t id_;
};

/// What the recorders of a device share.
struct Side {
  c10::cuda::CUDAStream stream;
  std::weak_ptr<Pool> pool;
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
    pool_.reset();
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
    auto recording = std::make_unique<Recording>();
    const int64_t before = reservedBytes();
    if (!capture(*recording, function, input)) {
      recording.reset();
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
    at::cuda::CUDAGraph graph;
    at::Tensor input;  ///< both in the pool, which may use their memory for other graphs
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

  /// libtorch keeps a workspace of cuBLAS for each stream, and drops those of the side stream with
  /// every graph of it. So that no other graph is left with a dangling one, each captures one that
  /// comes from the pool, and is given back to it as all memory there.
  bool capture(Recording& recording, const Function& function, const at::Tensor& input) {
    at::cuda::clearCublasWorkspacesForStream(side_->stream);
    const bool captured = captureFrom(recording, function, input);
    at::cuda::clearCublasWorkspacesForStream(side_->stream);
    return captured;
  }

  bool captureFrom(Recording& recording, const Function& function, const at::Tensor& input) {
    const c10::cuda::CUDAStreamGuard guard(side_->stream);
    bool capturing = false;
    try {
      usePool();
      // Other threads compute, allocate and wait meanwhile, among them libtorch's, which launch the
      // backward pass that is captured. "Global" would forbid them all what CUDA calls unsafe;
      // "relaxed" would allow it to this thread too, whose work such calls would escape from.
      recording.graph.capture_begin(pool_->id(), cudaStreamCaptureModeThreadLocal);
      capturing = true;
      const at::Tensor x = at::empty_like(input, input.options(), at::MemoryFormat::Contiguous);
      const at::Tensor y = function(x).contiguous();
      capturing = false;
      recording.graph.capture_end();
      recording.input = borrowed(x);
      recording.output = borrowed(y);
      return true;
    } catch (...) {  // an operator that waits for the device, too little memory
      if (capturing) abandon(recording.graph);
      return false;
    }
  }

  /// Takes the stream and the allocator out of a capture that failed.
  static void abandon(at::cuda::CUDAGraph& graph) {
    try {
      graph.capture_end();
    } catch (...) {  // NOLINT(bugprone-empty-catch): it says that the capture failed
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

  /// A tensor in the same memory that does not own it: as long as its graph exists, so does the
  /// pool, and no graph runs between what writes it and what reads it.
  static at::Tensor borrowed(const at::Tensor& tensor) {
    return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.options());
  }

  void usePool() {
    if (pool_) return;
    pool_ = side_->pool.lock();
    if (pool_) return;
    pool_ = std::make_shared<Pool>(device_);
    side_->pool = pool_;
  }

  int64_t reservedBytes() const {
    return allocator::getDeviceStats(device_).reserved_bytes[0].current;
  }

  c10::DeviceIndex device_;
  Side* side_;
  c10::cuda::CUDAEvent forked_;
  c10::cuda::CUDAEvent joined_;
  std::shared_ptr<Pool> pool_;
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
