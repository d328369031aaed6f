#pragma once

#include <torch/version.h>

#if defined(TC_CUDA) && \
    (TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 11))
#define TC_CUDA_GRAPHS
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 14
#define TC_LIBTORCH_GRAPHS  // before, libtorch's own class left its allocator in a failed capture
#endif

#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/Device.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <memory>
#include <optional>

namespace tc {

/// Memory of a device that its graphs use while they run, given back to the device with the last
/// owner. Other work does not get it meanwhile.
class GraphMemory {
 public:
  explicit GraphMemory(c10::DeviceIndex device);
  ~GraphMemory();
  GraphMemory(const GraphMemory&) = delete;
  GraphMemory& operator=(const GraphMemory&) = delete;

  c10::DeviceIndex device() const { return device_; }
  c10::MempoolId_t id() const { return id_; }

 private:
  c10::DeviceIndex device_;
  c10::MempoolId_t id_;
};

/// What a stream was asked for between begin() and end(), to be asked for again in one launch.
class CapturedGraph {
 public:
  CapturedGraph() = default;
  /// Takes the stream and the allocator out of a capture that did not come to its end, too: on the
  /// thread and the stream of begin() then.
  ~CapturedGraph();
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;

  /// Captures the current stream, on which no other thread works. What is allocated for it comes
  /// from `memory`. @throws c10::Error
  void begin(std::shared_ptr<GraphMemory> memory);
  /// @throws c10::Error where something could not be captured
  void end();
  /// Launches it on the current stream. @throws c10::Error
  void replay();

 private:
  std::shared_ptr<GraphMemory> memory_;
  std::optional<c10::cuda::CUDAStream> capturing_;

#ifdef TC_LIBTORCH_GRAPHS
  at::cuda::CUDAGraph graph_;
#else
  cudaError_t leave(cudaGraph_t* graph);
  cudaGraphExec_t executable_ = nullptr;
#endif
};

}  // namespace tc

#endif
