#include "core/linearization/recording/captured_graph.h"

#ifdef TC_CUDA_GRAPHS

#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>

#include <utility>

#ifdef TC_LIBTORCH_GRAPHS
// Declared here because its header needs those of cuBLAS, cuSPARSE and cuSOLVER.
namespace at::cuda {
TORCH_CUDA_CPP_API void clearCublasWorkspacesForStream(cudaStream_t stream);
}  // namespace at::cuda
#endif

namespace tc {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

/// Other threads compute, allocate and wait meanwhile, among them libtorch's, which launch the
/// backward pass that is captured. "Global" would forbid them all what CUDA calls unsafe; "relaxed"
/// would allow it to this thread too, whose work such calls would escape from.
constexpr auto kMode = cudaStreamCaptureModeThreadLocal;

}  // namespace

GraphMemory::GraphMemory(c10::DeviceIndex device)
    : device_(device), id_(at::cuda::graph_pool_handle()) {
  allocator::createOrIncrefPool(device_, id_);
}

GraphMemory::~GraphMemory() {
  try {
    allocator::releasePool(device_, id_);
    allocator::emptyCache(id_);
  } catch (...) {  // NOLINT(bugprone-empty-catch): nobody is left to be told
  }
}

#ifdef TC_LIBTORCH_GRAPHS

// libtorch keeps a workspace of cuBLAS for each stream, and drops those of a stream with every
// graph of it. So that no other graph is left with a dangling one, each captures one that comes
// from the graphs' memory, and is given back to it as all there.

void CapturedGraph::begin(std::shared_ptr<GraphMemory> memory) {
  memory_ = std::move(memory);
  const auto stream = c10::cuda::getCurrentCUDAStream(memory_->device());
  at::cuda::clearCublasWorkspacesForStream(stream.stream());
  graph_.capture_begin(memory_->id(), kMode);
  capturing_ = stream;
}

void CapturedGraph::end() {
  const auto stream = std::exchange(capturing_, std::nullopt)->stream();
  try {
    graph_.capture_end();
  } catch (...) {
    at::cuda::clearCublasWorkspacesForStream(stream);
    throw;
  }
  at::cuda::clearCublasWorkspacesForStream(stream);
}

CapturedGraph::~CapturedGraph() {
  try {
    if (capturing_) end();
  } catch (...) {  // NOLINT(bugprone-empty-catch): it says that the capture failed
  }
}

void CapturedGraph::replay() { graph_.replay(); }

#else

// A workspace of cuBLAS stays here for as long as the process: one that was first needed in a
// capture keeps its part of the graphs' memory.

void CapturedGraph::begin(std::shared_ptr<GraphMemory> memory) {
  const auto stream = c10::cuda::getCurrentCUDAStream(memory->device());
  // First, so that what other threads free meanwhile waits for the end of the capture.
  allocator::beginAllocateToPool(
      memory->device(), memory->id(),
      [captured = stream.stream()](cudaStream_t each) { return each == captured; });
  memory_ = std::move(memory);  // whose pool libtorch counts this graph for, from here on
  capturing_ = stream;
  C10_CUDA_CHECK(cudaStreamBeginCapture(stream, kMode));
}

cudaError_t CapturedGraph::leave(cudaGraph_t* graph) {
  const auto stream = std::exchange(capturing_, std::nullopt)->stream();
  const cudaError_t status = cudaStreamEndCapture(stream, graph);
  allocator::endAllocateToPool(memory_->device(), memory_->id());
  return status;
}

void CapturedGraph::end() {
  cudaGraph_t graph = nullptr;
  C10_CUDA_CHECK(leave(&graph));
  const cudaError_t status = cudaGraphInstantiateWithFlags(&executable_, graph, 0);
  (void)cudaGraphDestroy(graph);
  C10_CUDA_CHECK(status);
}

CapturedGraph::~CapturedGraph() {
  try {
    cudaGraph_t graph = nullptr;
    if (capturing_ && leave(&graph) == cudaSuccess) (void)cudaGraphDestroy(graph);
    if (executable_ != nullptr) (void)cudaGraphExecDestroy(executable_);
    if (memory_) allocator::releasePool(memory_->device(), memory_->id());
  } catch (...) {  // NOLINT(bugprone-empty-catch): nobody is left to be told
  }
}

void CapturedGraph::replay() {
  C10_CUDA_CHECK(cudaGraphLaunch(executable_, c10::cuda::getCurrentCUDAStream(memory_->device())));
}

#endif

}  // namespace tc

#endif
