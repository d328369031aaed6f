// What has to do with gradients. Backward passes as operators, as graphs that hold derivatives have
// them: libtorch takes the shapes of gradients on trust where autograd would have made them.
// Functions that have no derivative, or a wrong one.

#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <c10/core/GradMode.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <vector>

#include "core/program/argument_checks.h"
#include "core/program/call_arguments.h"

namespace tc {
namespace {

constexpr const char* kExpected = "the gradient should have the shape of the result";
constexpr const char* kOneShape =
    "its operands should have one shape, as torch.broadcast_tensors gives them";

void requireShape(const CallArguments& call, const at::Tensor& gradient,
                  const std::vector<int64_t>& shape) {
  call.require(gradient.sizes() == at::IntArrayRef(shape), kExpected);
}

void softmax(const CallArguments& call) {
  requireShape(call, call.at(0).toTensor(), call.at(1).toTensor().sizes().vec());
}

void loss(const CallArguments& call) {
  for (size_t i = 0; i < 3; ++i)
    call.require(call.at(i).toTensor().is_floating_point(), "it takes numbers with fractions");
}

/// libtorch's second derivative of a mean divides by the size of one operand instead of the
/// result's.
void lossAgain(const CallArguments& call) {
  loss(call);
  const at::Tensor gradient = call.at(0).toTensor();
  const at::Tensor y = call.at(1).toTensor();
  const at::Tensor target = call.at(2).toTensor();
  const bool differentiated =
      at::GradMode::is_enabled() &&
      (gradient.requires_grad() || y.requires_grad() || target.requires_grad());
  if (!differentiated || call.find("reduction")->toInt() != at::Reduction::Mean) return;
  call.require(
      y.sizes() == target.sizes() && (gradient.sizes() == y.sizes() || gradient.dim() == 0),
      kOneShape);
}

/// Pools of the last `axes`: the gradient is of as many images and channels.
template <int64_t axes>
void pool(const CallArguments& call) {
  const at::Tensor gradient = call.at(0).toTensor();
  const at::Tensor x = call.at(1).toTensor();
  call.require(x.dim() == gradient.dim() && (x.dim() == axes + 1 || x.dim() == axes + 2),
               kExpected);
  const auto leading = static_cast<size_t>(x.dim() - axes);
  call.require(x.sizes().slice(0, leading) == gradient.sizes().slice(0, leading), kExpected);
}

/// Pools to a size, which that of the gradient is.
template <int64_t axes>
void adaptivePool(const CallArguments& call) {
  pool<axes>(call);
  call.require(call.at(0).toTensor().numel() > 0 && call.at(1).toTensor().numel() > 0,
               "there are no pixels");
}

/// Pads of the last `axes`, the last one first, two each.
void pad(const CallArguments& call, size_t axes, bool reflects) {
  const at::Tensor x = call.at(1).toTensor();
  const std::vector<int64_t> pads = call.at(2).toIntVector();
  const auto rank = static_cast<size_t>(x.dim());
  call.require(pads.size() == 2 * axes && (rank == axes + 1 || rank == axes + 2),
               "it takes images, and two pads for each axis of pixels");
  std::vector<int64_t> shape = x.sizes().vec();
  for (size_t i = 0; i < axes; ++i) {
    int64_t& size = shape[rank - 1 - i];
    for (const int64_t each : {pads[2 * i], pads[2 * i + 1]}) {
      call.require(each > -size && each < (reflects ? size : int64_t{1} << 31),
                   "a pad is larger than the image");
    }
    size += pads[2 * i] + pads[2 * i + 1];
    call.require(size > 0, "a pad is larger than the image");
  }
  requireShape(call, call.at(0).toTensor(), shape);
}
template <size_t axes, bool reflects>
void padded(const CallArguments& call) {
  pad(call, axes, reflects);
}

/// Windows of `size` numbers along `dim`, `step` apart, as a last axis.
void unfold(const CallArguments& call) {
  std::vector<int64_t> shape = call.at(1).toIntVector();
  const auto rank = static_cast<int64_t>(shape.size());
  const int64_t axis = call.at(2).toInt();
  const int64_t size = call.at(3).toInt();
  const int64_t step = call.at(4).toInt();
  call.require(rank > 0 && axis >= -rank && axis < rank, "its axis is none of the tensor's");
  for (const int64_t each : shape) call.require(each >= 0, "a size is negative");
  int64_t& along = shape[static_cast<size_t>(axis < 0 ? axis + rank : axis)];
  call.require(size >= 0 && size <= along && step > 0, "its windows are larger than the tensor");
  along = (along - size) / step + 1;
  shape.push_back(size);
  requireShape(call, call.at(0).toTensor(), shape);
}

/// x with its statistics, [rows] each, as the forward pass gives them.
void layerNorm(const CallArguments& call) {
  const at::Tensor x = call.at(1).toTensor();
  const std::vector<int64_t> normalized = call.at(2).toIntVector();
  requireShape(call, call.at(0).toTensor(), x.sizes().vec());
  const auto rank = static_cast<size_t>(x.dim());
  call.require(!normalized.empty() && normalized.size() <= rank &&
                   x.sizes().slice(rank - normalized.size()) == at::IntArrayRef(normalized),
               "the last axes should be those that are normalized");
  const int64_t rows = c10::multiply_integers(x.sizes().slice(0, rank - normalized.size()));
  call.require(call.at(3).toTensor().numel() == rows && call.at(4).toTensor().numel() == rows,
               "there should be a mean and a deviation for each row");
  for (const char* name : {"weight", "bias"}) {
    const at::Tensor each = call.tensor(name);
    call.require(!each.defined() || each.sizes() == at::IntArrayRef(normalized),
                 "weights should have the shape that is normalized");
  }
}

/// Images [N, C, …] and weights, [out, C / groups, …], or transposed [C, out / groups, …].
void convolution(const CallArguments& call) {
  const at::Tensor x = call.tensor("input");
  const at::Tensor weight = call.tensor("weight");
  const bool transposed = call.flag("transposed");
  const int64_t groups = call.find("groups")->toInt();
  const auto rank = static_cast<size_t>(x.dim());
  call.require(rank > 2 && weight.dim() == x.dim() && groups > 0, "it takes images and weights");
  const int64_t channels = weight.size(transposed ? 0 : 1) * (transposed ? 1 : groups);
  const int64_t results = weight.size(transposed ? 1 : 0) * (transposed ? groups : 1);
  call.require(x.size(1) == channels && channels % groups == 0 && results % groups == 0,
               "the weights should be for the channels of the images");
  const auto option = [&](const char* name, size_t axis) {
    const std::vector<int64_t> list = call.find(name)->toIntVector();
    call.require(list.size() == 1 || list.size() == rank - 2,
                 "there should be an option for each axis of pixels");
    return list[list.size() == 1 ? 0 : axis];
  };
  std::vector<int64_t> shape{x.size(0), results};
  for (size_t axis = 0; axis + 2 < rank; ++axis) {
    const auto at = static_cast<int64_t>(axis) + 2;
    const int64_t stride = option("stride", axis);
    const int64_t dilation = option("dilation", axis);
    const int64_t padding = option("padding", axis);
    constexpr int64_t kMost = int64_t{1} << 31;  // of which products do not overflow
    call.require(stride > 0 && dilation > 0 && padding >= 0, "an option is negative");
    call.require(stride < kMost && dilation < kMost && padding < kMost, "an option is too large");
    const int64_t reach = dilation * (weight.size(at) - 1) + 1;
    const int64_t room = x.size(at) + 2 * padding - reach;
    call.require(transposed || room >= 0, "its kernel is larger than the image");
    shape.push_back(transposed ? (x.size(at) - 1) * stride - 2 * padding + reach +
                                     option("output_padding", axis)
                               : room / stride + 1);
  }
  requireShape(call, call.tensor("grad_output"), shape);
}

/// libtorch's gradient divides by the size of each operand instead of the result's.
void meanLoss(const CallArguments& call) {
  call.require(call.find("reduction")->toInt() == at::Reduction::None ||
                   call.tensor("self").sizes() == call.tensor("target").sizes(),
               kOneShape);
}

/// libtorch's gradient takes a start from the end for one before the beginning.
void narrowCopy(const CallArguments& call) {
  call.require(!call.at(2).isInt() || call.at(2).toInt() >= 0,
               "start should be counted from the beginning, as torch.narrow's need not");
}

/// libtorch's derivative of A⁺ is that of all of A; it does not know of singular values that are
/// left out.
void pseudoInverse(const CallArguments& call) {
  const at::Tensor a = call.at(0).toTensor();
  if (!a.requires_grad() || a.dim() < 2 || a.numel() == 0) return;
  double relative = 0;  // to the largest, of what may be left out
  double absolute = 0;
  for (const char* name : {"rcond", "rtol", "atol"}) {
    const c10::IValue* value = call.find(name);
    if (value == nullptr || value->isNone()) continue;
    const double number = value->isTensor() && value->toTensor().numel() > 0
                              ? value->toTensor().to(at::kDouble).max().item<double>()
                          : value->isDouble() ? value->toDouble()
                                              : 0;
    double& limit = name[0] == 'a' ? absolute : relative;
    limit = std::max(limit, number);
  }
  const double rounding = 10 * static_cast<double>(std::max(a.size(-1), a.size(-2))) *
                          (at::toRealValueType(a.scalar_type()) == at::kDouble ? 2.3e-16 : 1.2e-7);
  if (relative <= rounding && absolute <= 0) return;
  const at::Tensor values = at::linalg_svdvals(a.detach()).to(at::kDouble);
  const at::Tensor largest = values.narrow(-1, 0, 1);
  const at::Tensor out =
      (values <= (largest * relative).clamp_min(absolute)).logical_and(values > largest * rounding);
  call.require(!out.any().item<bool>(),
               "its derivatives are known where the tolerance leaves out nothing but zeros");
}

/// libtorch's gradient takes the norms for what they are, not for eps, where they are below it.
void cosineSimilarity(const CallArguments& call) {
  const double eps = call.find("eps")->toDouble();
  const int64_t dim = call.find("dim")->toInt();
  const at::Tensor x1 = call.at(0).toTensor();
  const at::Tensor x2 = call.at(1).toTensor();
  if (!x1.requires_grad() && !x2.requires_grad()) return;
  const int64_t rank = std::max(x1.dim(), x2.dim());
  for (const at::Tensor& x : {x1, x2}) {
    const int64_t axis = (dim < 0 ? dim + rank : dim) - (rank - x.dim());  // of their common ones
    const at::Tensor real = x.detach().to(at::kDouble);
    const at::Tensor norms = axis < 0 || axis >= x.dim()
                                 ? real.abs()
                                 : at::linalg_vector_norm(real, 2, at::IntArrayRef(axis));
    call.require(!norms.lt(eps).logical_and(norms > 0).any().item<bool>(),
                 "its derivatives are known where no vector is shorter than eps");
  }
}

/// Functions without a derivative in libtorch, which takes what they give for a constant.
void constant(const CallArguments& call) {
  const at::Tensor x = call.at(0).toTensor();
  if (!at::GradMode::is_enabled() || !x.requires_grad()) return;
  throw RefusedCall("ERR_UNSUPPORTED_OP",
                    call.name() +
                        " has no derivative in libtorch, and its argument depends on "
                        "parameters: write it as a function that has one");
}

const Rows<ArgumentCheck> kRows(
    argumentChecks(), {
                          {"aten::_adaptive_avg_pool2d_backward", checked<adaptivePool<2>>},
                          {"aten::_adaptive_avg_pool3d_backward", checked<adaptivePool<3>>},
                          {"aten::_log_softmax_backward_data", checked<softmax>},
                          {"aten::_softmax_backward_data", checked<softmax>},
                          {"aten::huber_loss_backward", checked<lossAgain>},
                          {"aten::mse_loss_backward", checked<lossAgain>},
                          {"aten::smooth_l1_loss_backward", checked<lossAgain>},
                          {"aten::avg_pool2d_backward", checked<pool<2>>},
                          {"aten::avg_pool3d_backward", checked<pool<3>>},
                          {"aten::convolution_backward", checked<convolution>},
                          {"aten::native_layer_norm_backward", checked<layerNorm>},
                          {"aten::reflection_pad1d_backward", checked<padded<1, true>>},
                          {"aten::reflection_pad2d_backward", checked<padded<2, true>>},
                          {"aten::reflection_pad3d_backward", checked<padded<3, true>>},
                          {"aten::replication_pad1d_backward", checked<padded<1, false>>},
                          {"aten::replication_pad2d_backward", checked<padded<2, false>>},
                          {"aten::replication_pad3d_backward", checked<padded<3, false>>},
                          {"aten::unfold_backward", checked<unfold>},
                          {"aten::linalg_pinv", checked<pseudoInverse>},
                          {"aten::pinverse", checked<pseudoInverse>},
                          {"aten::cosine_similarity", checked<cosineSimilarity>},
                          {"aten::huber_loss", checked<meanLoss>},
                          {"aten::mse_loss", checked<meanLoss>},
                          {"aten::smooth_l1_loss", checked<meanLoss>},
                          {"aten::narrow_copy", checked<narrowCopy>},
                          {"aten::special_airy_ai", checked<constant>},
                          {"aten::special_bessel_j0", checked<constant>},
                          {"aten::special_bessel_j1", checked<constant>},
                          {"aten::special_bessel_y0", checked<constant>},
                          {"aten::special_bessel_y1", checked<constant>},
                          {"aten::special_modified_bessel_k0", checked<constant>},
                          {"aten::special_modified_bessel_k1", checked<constant>},
                          {"aten::special_scaled_modified_bessel_k0", checked<constant>},
                          {"aten::special_scaled_modified_bessel_k1", checked<constant>},
                          {"aten::special_spherical_bessel_j0", checked<constant>},
                      });

}  // namespace
}  // namespace tc
