#include "core/linearization/autograd/per_sample_jacobian.h"

#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/TensorWrapper.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <string>

#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/kept_graph.h"
#include "core/linearization/autograd/transform_level.h"
#include "core/linearization/row_work.h"
#include "core/linearization/rows.h"
#include "core/linearization/rows_on_cores.h"
#include "core/program/program.h"
#include "core/runtime/device.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

namespace functorch = at::functorch;

/// Rows whose gradients are taken in one vmap, and the bytes that these may have.
struct VmapLimits {
  int64_t rows;
  int64_t bytes;
};
/// Enough to fill the cores. glibc maps what is larger than 32 MiB anew for each use, and each page
/// of it is then cleared: gradients of twice as many rows took ten times as long.
constexpr VmapLimits kOnCores{512, int64_t{16} << 20};
/// Other devices have no such cache, and each vmap costs the launches of all its kernels.
constexpr VmapLimits kElsewhere{int64_t{1} << 20, int64_t{512} << 20};
/// Of what is free there: beside the gradients lie the values that they are made from.
constexpr int64_t kShareOfDevice = 8;

/// Copies a gradient of the vmap layer (one slice for each sample) into `out`, [n, length].
void copyUnbatched(const at::Tensor& gradient, const at::Tensor& out) {
  // The layers are still active: without this, functorch would take the copy for a part of the
  // transform.
  const c10::impl::ExcludeDispatchKeyGuard plain(
      c10::DispatchKeySet({c10::DispatchKey::FuncTorchDynamicLayerFrontMode,
                           c10::DispatchKey::FuncTorchDynamicLayerBackMode}));
  if (const auto* batched = functorch::maybeGetBatchedImpl(gradient)) {
    out.copy_(batched->value().movedim(batched->bdim(), 0).reshape(out.sizes()));
  } else {  // the same for every sample
    out.copy_(gradient.reshape({1, out.size(1)}));
  }
}

/// A row beside none of the batch may come out as something else than the batch's part.
void requireOutputs(int64_t found, int64_t expected) {
  if (found == expected) return;
  throw Error("ERR_SHAPE_MISMATCH", "the model gives " + std::to_string(found) +
                                        " numbers for a row of the batch, of which it has " +
                                        std::to_string(expected));
}

/// The gradients of one element of y, on the device of `out`; undefined where there are none.
std::vector<at::Tensor> gradientsOf(const at::Tensor& y, int64_t element,
                                    const std::vector<at::Tensor>& leaves, const at::Tensor& out) {
  if (!y.requires_grad()) return std::vector<at::Tensor>(leaves.size());
  // Elements of their own, by `unbind`, would each make the zeros of all others.
  at::Tensor unit = at::zeros({y.numel()}, out.options().dtype(y.scalar_type()));
  unit[element] = 1.0;
  return torch::autograd::grad({y}, leaves, {unit.view(y.sizes())},
                               /*retain_graph=*/element + 1 < y.numel(),
                               /*create_graph=*/false, /*allow_unused=*/true);
}

void batchedJacobian(const Point& point, int64_t begin, int64_t end, const at::Tensor& out) {
  const int64_t unit = unitRows(point);
  const int64_t n = (end - begin) / unit;
  const auto& parameters = point.program->parameters();
  const int64_t outputs = out.size(0) / n;  // of the rows of a unit
  std::vector<std::vector<at::Tensor>> targets(
      static_cast<size_t>(outputs));  // [output][parameter]: [n, length]
  for (int64_t output = 0; output < outputs; ++output) {
    const at::Tensor jacobian = out.view({n, outputs, out.size(1)}).select(1, output);
    for (const auto& parameter : parameters) {
      targets[static_cast<size_t>(output)].push_back(
          jacobian.narrow(1, parameter.offset, parameter.length));
    }
  }
  std::vector<at::Tensor> leaves = point.program->unflatten(point.params.detach());
  std::vector<at::Tensor> samples = rows(point, begin, end);
  const TransformLevel vmap(TransformLevel::Kind::kVmap, n);
  for (size_t i = 0; i < samples.size(); ++i) {
    if (!point.hasRows(i)) continue;
    // Each unit a batch, of one row or of a fixed number.
    auto sizes = samples[i].sizes().vec();
    sizes[0] = unit;
    sizes.insert(sizes.begin(), n);
    samples[i] = functorch::makeBatched(samples[i].reshape(sizes), 0, vmap.level());
  }
  const TransformLevel grad(TransformLevel::Kind::kGrad);
  for (at::Tensor& leaf : leaves) {
    leaf = functorch::makeTensorWrapper(leaf, grad.level());
    leaf.set_requires_grad(true);
  }
  for (at::Tensor& sample : samples) sample = functorch::makeTensorWrapper(sample, grad.level());
  at::Tensor y;
  {
    const DifferentiableKernels kernels(*point.program);
    y = point.program->run(leaves, samples, point.constants);
    requireDerivatives(y);
  }
  requireOutputs(y.numel(), outputs);
  if (y.requires_grad()) makeInterruptible({edgeOf(y)});
  for (int64_t output = 0; output < outputs; ++output) {
    StopScope::poll();
    const std::vector<at::Tensor> gradients = gradientsOf(y, output, leaves, out);
    for (size_t i = 0; i < leaves.size(); ++i) {
      const at::Tensor& target = targets[static_cast<size_t>(output)][i];
      if (const auto* wrapper = functorch::maybeGetTensorWrapper(gradients[i])) {
        copyUnbatched(wrapper->value(), target);
      } else if (gradients[i].defined()) {
        copyUnbatched(gradients[i], target);
      } else {
        target.zero_();
      }
    }
  }
}

/// One backward pass for each row and output.
void jacobianByRows(const Point& point, int64_t begin, int64_t end, const at::Tensor& out) {
  const int64_t unit = unitRows(point);
  const int64_t outputs = out.size(0) / (end - begin) * unit;
  const std::vector<at::Tensor> leaves = leavesAt(point);
  for (int64_t row = begin; row < end; row += unit) {
    const at::AutoGradMode recorded(true);
    const at::Tensor y = point.program->run(leaves, rows(point, row, row + unit), point.constants);
    requireDerivatives(y);
    requireOutputs(y.numel(), outputs);
    for (int64_t output = 0; output < outputs; ++output) {
      StopScope::poll();
      const at::Tensor target = out.select(0, (row - begin) / unit * outputs + output);
      const std::vector<at::Tensor> gradients = gradientsOf(y, output, leaves, out);
      for (size_t i = 0; i < leaves.size(); ++i) {
        const auto& parameter = point.program->parameters()[i];
        const at::Tensor part = target.narrow(0, parameter.offset, parameter.length);
        if (gradients[i].defined()) {
          part.copy_(gradients[i].detach().reshape({-1}));
        } else {
          part.zero_();
        }
      }
    }
  }
}

void jacobianOfSome(const Point& point, int64_t begin, int64_t end, const at::Tensor& out) {
  try {
    batchedJacobian(point, begin, end, out);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error&) {
    // libtorch has no error of its own for an operator that vmap does not know; any other failure
    // comes back from here.
    jacobianByRows(point, begin, end, out);
  }
}

}  // namespace

int64_t rowsInVmap(const Point& point) {
  const bool onCores = point.params.is_cpu();
  const VmapLimits& limits = onCores ? kOnCores : kElsewhere;
  const int64_t bytes =
      onCores ? limits.bytes
              : std::min(limits.bytes, availableMemory(point.params.device()) / kShareOfDevice);
  const auto gradientBytes = static_cast<int64_t>(point.params.nbytes());
  const int64_t fitting = bytes / std::max<int64_t>(1, gradientBytes);
  return std::clamp<int64_t>(std::min(fitting, rowsWithinWork(point)), 1, limits.rows);
}

void perSampleJacobian(const Point& point, int64_t begin, int64_t end, const at::Tensor& out,
                       const StopToken& stop) {
  const int64_t outputs = out.size(0) / (end - begin);
  const RowsOnCores cores(withRows(point, begin, end));
  cores.each(stop, [&](size_t i) {
    const DifferentiableKernels kernels(*point.program);
    const Point part = cores.part(i);
    const at::Tensor own = out.narrow(0, cores.begin(i) * outputs, part.batch() * outputs);
    forEachChunk(part.batch(), wholeUnits(part, rowsInVmap(part)), stop,
                 [&](int64_t first, int64_t last) {
                   jacobianOfSome(part, first, last,
                                  own.narrow(0, first * outputs, (last - first) * outputs));
                 });
  });
}

}  // namespace tc
