#include "core/program/argument_checks.h"

#include <ATen/PadNd.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/diff.h>
#include <ATen/ops/result_type.h>
#include <ATen/ops/scalar_tensor.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/program/call_arguments.h"
#include "core/program/extremes.h"
#include "core/program/recurrent.h"
#include "core/program/write_checks.h"

namespace tc {
namespace {

/// Transforms of complex numbers over axes that are listed.
void fourier(const CallArguments& call) {
  const int64_t rank = call.at(0).toTensor().dim();
  std::vector<int64_t> axes = call.at(1).toIntVector();
  // Those from the end are not looked up there.
  for (const int64_t axis : axes)
    call.require(axis >= 0 && axis < rank, "an axis is none of the tensor's");
  const int64_t normalization = call.at(2).toInt();
  call.require(normalization >= 0 && normalization <= 2, "its normalization is none of three");
  std::ranges::sort(axes);
  call.require(std::ranges::adjacent_find(axes) == axes.end(), "an axis is listed twice");
}

/// Half of a spectrum that is like its own mirror image: libtorch takes the numbers of its elements
/// and of the result's on trust, and writes beyond the result.
void halfSpectrum(const CallArguments& call) {
  fourier(call);
  const std::vector<int64_t> axes = call.at(1).toIntVector();
  call.require(!axes.empty(), "there should be an axis");
  call.require(call.at(0).toTensor().size(axes.back()) == call.at(3).toInt() / 2 + 1,
               "the last axis should have last_dim_size / 2 + 1 elements");
}

/// Vectors over the channels of x, [N, C, …].
void batchNorm(const CallArguments& call) {
  const at::Tensor x = call.at(0).toTensor();
  call.require(x.dim() >= 2, "x should have an axis for the channels");
  for (const char* name : {"weight", "bias", "running_mean", "running_var"}) {
    const at::Tensor vector = call.tensor(name);
    call.require(!vector.defined() || (vector.dim() == 1 && vector.size(0) == x.size(1)),
                 "weights and statistics should have one element for each channel");
  }
  const bool statistics =
      call.tensor("running_mean").defined() && call.tensor("running_var").defined();
  const bool ofBatch = call.flag("training") || call.flag("train");
  call.require(statistics || ofBatch, "it has no statistics to normalize with");
}

/// w = g v / ‖v‖, where the norms are of slices along an axis, or of all of v where the axis is −1.
void weightNorm(const CallArguments& call) {
  const at::Tensor v = call.at(0).toTensor();
  const at::Tensor g = call.at(1).toTensor();
  const int64_t axis = call.at(2).toInt();
  call.require(v.dim() > 0 && v.numel() > 0, "v should have axes and elements");
  call.require(axis >= -1 && axis < v.dim(), "v has no such axis");
  call.require(g.numel() == (axis < 0 ? 1 : v.size(axis)),
               "g should have one element for each slice of v");
}

/// The same by libtorch's kernel, which knows two axes.
void weightNormKernel(const CallArguments& call) {
  const int64_t axis = call.at(2).toInt();
  call.require(axis == 0 || axis == call.at(0).toTensor().dim() - 1,
               "it takes the first axis or the last one");
  weightNorm(call);
}

void attention(const CallArguments& call) {
  const at::Tensor q = call.at(0).toTensor();
  const at::Tensor k = call.at(1).toTensor();
  const at::Tensor v = call.at(2).toTensor();
  call.require(q.dim() >= 2 && k.dim() >= 2 && v.dim() >= 2,
               "query, key and value should be matrices or lists of them");
  for (const at::Tensor& each : {q, k, v}) {
    call.require(each.dim() < 4 || each.size(-3) > 0, "there should be at least one head");
    call.require(each.is_floating_point() || each.is_complex(), "it takes numbers with fractions");
  }
}

/// What wraps around should be there: libtorch leaves the rest as memory happens to be.
void circularPad(const CallArguments& call) {
  const c10::IValue* mode = call.find("mode");
  if (mode != nullptr && mode->isString() && mode->toStringRef() != "circular") return;
  constexpr auto kCircular = static_cast<int64_t>(at::padding_mode::circular);
  if (mode != nullptr && mode->isInt() && mode->toInt() != kCircular) return;
  const at::Tensor x = call.at(0).toTensor();
  const std::vector<int64_t> pad = call.find("pad")->toIntVector();
  const auto axes = static_cast<int64_t>(pad.size() / 2);
  call.require(axes <= x.dim(), "there are more paddings than axes");
  for (int64_t axis = 0; axis < axes; ++axis) {
    const int64_t before = pad[static_cast<size_t>(2 * axis)];
    const int64_t behind = pad[static_cast<size_t>(2 * axis + 1)];
    const int64_t size = x.size(x.dim() - 1 - axis);
    call.require(before >= -size && behind >= -size &&
                     std::max(before, behind) <=
                         size + std::min<int64_t>(before, 0) + std::min<int64_t>(behind, 0),
                 "it wraps around more than there is");
  }
}

/// Other numbers leave the result as memory happens to be.
void sampledGrid(const CallArguments& call) {
  for (const char* mode : {"interpolation_mode", "padding_mode"}) {
    const int64_t number = call.find(mode)->toInt();
    call.require(number >= 0 && number <= 2, "its modes are numbers from 0 to 2");
  }
}

/// The least number of a type; of the small ones, which are computed in 32 bits, that of those.
int64_t leastOf(at::ScalarType type) {
  return type == at::kLong ? std::numeric_limits<int64_t>::min()
                           : std::numeric_limits<int32_t>::min();
}

void logGamma(const CallArguments& call) {
  constexpr int64_t kMost = 1 << 12;
  const int64_t p = call.at(1).toInt();
  call.require(p >= 1 && p <= kMost, "p should be from 1 to 4096");
}

void matrixPower(const CallArguments& call) {
  constexpr int64_t kMost = int64_t{1} << 31;
  const int64_t n = call.at(1).toInt();
  call.require(n > -kMost && n < kMost, "the power should be below 2³¹");
}

/// Exchanges of rows of matrices n × …, [n] for each: LAPACK takes them on trust.
void pivots(const CallArguments& call, const at::Tensor& matrix, const at::Tensor& exchanges) {
  call.require(matrix.dim() >= 2, "it takes matrices");
  const int64_t rows = matrix.size(-2);
  const int64_t count = std::min(rows, matrix.size(-1));
  std::vector<int64_t> shape = matrix.sizes().slice(0, static_cast<size_t>(matrix.dim() - 2)).vec();
  shape.push_back(count);
  call.require(exchanges.sizes() == at::IntArrayRef(shape) && exchanges.scalar_type() == at::kInt,
               "its pivots should be whole numbers of 32 bits, one for each row that is exchanged");
  if (exchanges.numel() == 0) return;
  const auto [least, largest] = extremes(exchanges);
  call.require(least >= 1 && largest <= rows, "a pivot is none of the matrix's rows");
}
void luSolve(const CallArguments& call) { pivots(call, call.tensor("LU"), call.tensor("pivots")); }
void luData(const CallArguments& call) {
  pivots(call, call.tensor("LU_data"), call.tensor("LU_pivots"));
}

/// How often each element is there: libtorch writes the elements before it sees a negative number,
/// and trusts the sum to be one of 64 bits.
void repeats(const CallArguments& call) {
  const at::Tensor times = call.tensor("repeats");
  if (!times.defined() || times.numel() == 0) return;
  call.require(c10::isIntegralType(times.scalar_type(), /*includeBool=*/false),
               "repeats should be whole numbers");
  constexpr int64_t kMost = int64_t{1} << 31;
  const auto [least, largest] = extremes(times);
  call.require(least >= 0, "repeats can not be negative");
  call.require(largest < kMost, "repeats should be below 2³¹");
  // Which a GPU's kernel does not survive where it is another.
  const c10::IValue* size = call.find("output_size");
  if (size == nullptr || !size->isInt()) return;
  int64_t sum = extremes(times.sum()).second;
  const at::Tensor self = call.tensor("self");
  if (self.defined() && times.numel() == 1) {  // for each element
    const c10::IValue* dim = call.find("dim");
    sum *= dim == nullptr || dim->isNone() ? self.numel() : self.size(dim->toInt());
  }
  call.require(sum == size->toInt(), "repeats should add up to output_size");
}

/// Zeros like a tensor beside axes of another, whose number libtorch takes on trust.
void likeFeatures(const CallArguments& call) {
  const c10::IValue* axes = call.find("self_num_batch_dims");
  call.require(axes == nullptr || axes->toInt() == 0, "it takes no axes of a batch");
}

/// Numbers whose absolute value there is none of in their type, at which the processor traps.
void leastMultiple(const CallArguments& call) {
  const at::ScalarType type = at::result_type(call.at(0).toTensor(), call.at(1).toTensor());
  if (!c10::isIntegralType(type, /*includeBool=*/false)) return;
  for (const size_t operand : {size_t{0}, size_t{1}}) {
    const at::Tensor x = call.at(operand).toTensor();
    if (x.is_meta() || x.numel() == 0) continue;  // no numbers
    call.require(extremes(x).first > leastOf(type), "a number is the least of its type");
  }
}

/// A target for each number: libtorch leaves the rest as memory happens to be.
void probabilities(const CallArguments& call) {
  call.require(call.tensor("self").sizes() == call.tensor("target").sizes(),
               "the target should have the shape of the probabilities");
}

/// Quotients beyond their type, at which the processor traps as well.
void truncated(const CallArguments& call) {
  const c10::IValue* mode = call.find("rounding_mode");
  if (mode == nullptr || !mode->isString() || mode->toStringRef() != "trunc") return;
  const at::Tensor x = call.at(0).toTensor();
  const c10::IValue& divisor = call.at(1);
  const at::Tensor y =
      divisor.isTensor() ? divisor.toTensor() : at::scalar_tensor(divisor.toScalar());
  const at::ScalarType type =
      divisor.isTensor() ? at::result_type(x, y) : at::result_type(x, divisor.toScalar());
  if (!c10::isIntegralType(type, /*includeBool=*/false)) return;
  if (x.is_meta() || x.numel() == 0 || y.numel() == 0) return;  // no numbers
  if (extremes(x).first > leastOf(type)) return;
  const auto [least, largest] = extremes(y);
  call.require(least > -1 || largest < -1, "a quotient is beyond its type");
}

void pairwise(const CallArguments& call) {
  call.require(call.at(0).toTensor().numel() > 0, "there are no points");
}

/// Sizes of which one is zero: libtorch goes through the others all the same.
void adaptive(const CallArguments& call) {
  constexpr int64_t kMost = int64_t{1} << 31;
  int64_t pixels = 1;
  const c10::IValue& sizes = call.at(1);
  const std::vector<int64_t> each =
      sizes.isInt() ? std::vector{sizes.toInt()} : sizes.toIntVector();
  for (const int64_t size : each) {
    const bool few = size < kMost && pixels * std::max<int64_t>(size, 1) < kMost;
    call.require(few, "its output should have fewer than 2³¹ pixels");
    pixels *= std::max<int64_t>(size, 1);
  }
}

/// Sizes and scales that contradict each other: libtorch goes by the sizes forward and by the
/// scales backward, for as long as those are small.
void upsample(const CallArguments& call) {
  if (call.find("output_size") == nullptr || call.find("scale_factors") != nullptr) return;
  const c10::IValue* input = call.find("input_size");  // of a backward pass
  const std::vector<int64_t> x =
      input != nullptr ? input->toIntVector() : call.at(0).toTensor().sizes().vec();
  const std::vector<int64_t> sizes = call.find("output_size")->toIntVector();
  const size_t axes = sizes.size();
  call.require(axes >= 1 && x.size() == axes + 2, "there should be a size for each axis of pixels");
  const std::vector<const char*> names = axes == 1 ? std::vector{"scales"}
                                         : axes == 2
                                             ? std::vector{"scales_h", "scales_w"}
                                             : std::vector{"scales_d", "scales_h", "scales_w"};
  for (size_t i = 0; i < std::min(axes, names.size()); ++i) {
    const c10::IValue* scale = call.find(names[i]);
    if (scale == nullptr || !scale->isDouble()) continue;
    const double expected = std::floor(static_cast<double>(x[2 + i]) * scale->toDouble());
    call.require(expected == static_cast<double>(sizes[i]),
                 "its scales contradict the sizes of its output");
  }
}

/// libtorch's backward pass takes the rows of one column for something else, where their number
/// changes (seen with libtorch 2.13).
void requireColumns(const CallArguments& call, int64_t before, int64_t height, int64_t width) {
  call.require(width != 1 || height == 1 || before == 1 || height == before,
               "its derivative to a width of 1 is wrong in libtorch; take height and width the "
               "other way round: F.interpolate(x.mT, size=(width, height), ...).mT");
}

void antialiased(const CallArguments& call) {
  upsample(call);
  const at::Tensor x = call.at(0).toTensor();
  if (!at::GradMode::is_enabled() || !x.requires_grad() || x.dim() != 4) return;
  if (const c10::IValue& size = call.at(1); size.isIntList()) {
    const std::vector<int64_t> after = size.toIntVector();
    if (after.size() == 2) requireColumns(call, x.size(2), after[0], after[1]);
  } else if (const c10::IValue* given = call.find("scale_factors");
             given != nullptr && given->isDoubleList()) {
    const std::vector<double> factors = given->toDoubleVector();
    const auto along = [&](int64_t axis, double factor) {
      return static_cast<int64_t>(static_cast<double>(x.size(axis)) * factor);
    };
    if (factors.size() == 2)
      requireColumns(call, x.size(2), along(2, factors[0]), along(3, factors[1]));
  }
}

void antialiasedBackward(const CallArguments& call) {
  upsample(call);
  const std::vector<int64_t> after = call.at(1).toIntVector();
  const std::vector<int64_t> before = call.at(2).toIntVector();
  if (after.size() == 2 && before.size() == 4) requireColumns(call, before[2], after[0], after[1]);
}

/// What only transposed convolutions have: others take it, and fail backward.
void convolution(const CallArguments& call) {
  const c10::IValue* padding = call.find("output_padding");
  if (padding == nullptr || call.flag("transposed")) return;
  for (const int64_t each : padding->toIntVector())
    call.require(each == 0, "only transposed convolutions have output_padding");
}

/// Backward passes of libtorch's know images only, where the layout is not the plain one.
void pixels(const CallArguments& call) {
  const int64_t rank = call.at(0).toTensor().dim();
  call.require(rank == 3 || rank == 4,
               "it takes images, [C, H, W] or [N, C, H, W]; flatten other axes into N before");
}

/// Sums of rows of a table, over bags that begin at the offsets.
void embeddingBag(const CallArguments& call) {
  const at::Tensor table = call.tensor("weight");
  const at::Tensor indices = call.tensor("indices");
  const at::Tensor offsets = call.tensor("offsets");
  const auto whole = [](const at::Tensor& t) {
    return t.scalar_type() == at::kLong || t.scalar_type() == at::kInt;
  };
  const auto within = [](const at::Tensor& t, int64_t low, int64_t high) {
    if (t.numel() == 0) return true;
    const auto [least, largest] = extremes(t);
    return least >= low && largest <= high;
  };
  call.require(table.dim() == 2 && indices.dim() == 1 && offsets.dim() == 1,
               "it takes a table, a list of indices and a list of offsets");
  call.require(whole(indices) && offsets.scalar_type() == indices.scalar_type(),
               "indices and offsets should be whole numbers of one kind");
  call.require(within(indices, 0, table.size(0) - 1), "an index is none of the table's rows");
  call.require(offsets.numel() > 0 && offsets[0].item<int64_t>() == 0 &&
                   within(offsets, 0, indices.numel()) &&
                   (offsets.numel() == 1 || within(offsets.diff(), 0, indices.numel())),
               "offsets should begin with 0 and rise to at most the number of indices");
  call.require(!call.flag("include_last_offset") || offsets.numel() > 1,
               "there should be at least one bag before the last offset");
  const at::Tensor weights = call.tensor("per_sample_weights");
  call.require(!weights.defined() || (weights.sizes() == indices.sizes() &&
                                      weights.scalar_type() == table.scalar_type()),
               "there should be a weight for each index");
  const int64_t mode = call.find("mode")->toInt();
  call.require(mode >= 0 && mode <= 2, "its mode is none of three");
  call.require(!call.flag("sparse") && !call.flag("scale_grad_by_freq"),
               "sparse gradients, and those scaled by frequency, are not supported");
  const c10::IValue* padding = call.find("padding_idx");
  if (padding != nullptr && padding->isInt()) {
    call.require(padding->toInt() >= -table.size(0) && padding->toInt() < table.size(0),
                 "the padding index is none of the table's rows");
  }
}

const Rows<ArgumentCheck> kRows(
    argumentChecks(), {
                          {"aten::_new_zeros_with_same_feature_meta", checked<likeFeatures>},
                          {"aten::_fft_c2c", checked<fourier>},
                          {"aten::_fft_c2r", checked<halfSpectrum>},
                          {"aten::_fft_r2c", checked<fourier>},
                          {"aten::_batch_norm_impl_index", checked<batchNorm>},
                          {"aten::_native_batch_norm_legit", checked<batchNorm>},
                          {"aten::_native_batch_norm_legit_no_training", checked<batchNorm>},
                          {"aten::batch_norm", checked<batchNorm>},
                          {"aten::native_batch_norm", checked<batchNorm>},
                          {"aten::_weight_norm", checked<weightNorm>},
                          {"aten::_weight_norm_interface", checked<weightNormKernel>},
                          {"aten::_scaled_dot_product_attention_math", checked<attention>},
                          {"aten::_scaled_dot_product_flash_attention_for_cpu", checked<attention>},
                          {"aten::scaled_dot_product_attention", checked<attention>},
                          {"aten::_pad_circular", checked<circularPad>},
                          {"aten::_pad_enum", checked<circularPad>},
                          {"aten::pad", checked<circularPad>},
                          {"aten::grid_sampler", checked<sampledGrid>},
                          {"aten::grid_sampler_2d", checked<sampledGrid>},
                          {"aten::grid_sampler_3d", checked<sampledGrid>},
                          {"aten::linalg_lu_solve", checked<luSolve>},
                          {"aten::lu_solve", checked<luData>},
                          {"aten::lu_unpack", checked<luData>},
                          {"aten::linalg_matrix_power", checked<matrixPower>},
                          {"aten::matrix_power", checked<matrixPower>},
                          {"aten::mvlgamma", checked<logGamma>},
                          {"aten::special_multigammaln", checked<logGamma>},
                          {"aten::binary_cross_entropy", checked<probabilities>},
                          {"aten::binary_cross_entropy_backward", checked<probabilities>},
                          {"aten::lcm", checked<leastMultiple>},
                          {"aten::div", checked<truncated>},
                          {"aten::divide", checked<truncated>},
                          {"aten::pdist", checked<pairwise>},
                          {"aten::repeat_interleave", checked<repeats>},
                          {"aten::_unsafe_index_put", requireSingleWrites},
                          {"aten::index_copy", requireSingleWrites},
                          {"aten::index_put", requireSingleWrites},
                          {"aten::max_unpool2d", requireSingleWrites},
                          {"aten::max_unpool3d", requireSingleWrites},
                          {"aten::put", requireSingleWrites},
                          {"aten::scatter", requireSingleWrites},
                          {"aten::_adaptive_avg_pool2d", checked<adaptive>},
                          {"aten::_adaptive_avg_pool3d", checked<adaptive>},
                          {"aten::adaptive_avg_pool1d", checked<adaptive>},
                          {"aten::adaptive_avg_pool2d", checked<adaptive>},
                          {"aten::adaptive_avg_pool3d", checked<adaptive>},
                          {"aten::adaptive_max_pool1d", checked<adaptive>},
                          {"aten::adaptive_max_pool2d", checked<adaptive>},
                          {"aten::adaptive_max_pool3d", checked<adaptive>},
                          {"aten::_convolution", checked<convolution>},
                          {"aten::convolution", checked<convolution>},
                          {"aten::_upsample_bicubic2d_aa", checked<antialiased>},
                          {"aten::_upsample_bilinear2d_aa", checked<antialiased>},
                          {"aten::_upsample_nearest_exact1d", checked<upsample>},
                          {"aten::_upsample_nearest_exact2d", checked<upsample>},
                          {"aten::_upsample_nearest_exact3d", checked<upsample>},
                          {"aten::upsample_bicubic2d", checked<upsample>},
                          {"aten::upsample_bilinear2d", checked<upsample>},
                          {"aten::upsample_linear1d", checked<upsample>},
                          {"aten::upsample_nearest1d", checked<upsample>},
                          {"aten::upsample_nearest2d", checked<upsample>},
                          {"aten::upsample_nearest3d", checked<upsample>},
                          {"aten::upsample_trilinear3d", checked<upsample>},
                          {"aten::_upsample_bicubic2d_aa_backward", checked<antialiasedBackward>},
                          {"aten::_upsample_bilinear2d_aa_backward", checked<antialiasedBackward>},
                          {"aten::_upsample_nearest_exact1d_backward", checked<upsample>},
                          {"aten::_upsample_nearest_exact2d_backward", checked<upsample>},
                          {"aten::_upsample_nearest_exact3d_backward", checked<upsample>},
                          {"aten::upsample_bicubic2d_backward", checked<upsample>},
                          {"aten::upsample_bilinear2d_backward", checked<upsample>},
                          {"aten::upsample_linear1d_backward", checked<upsample>},
                          {"aten::upsample_nearest1d_backward", checked<upsample>},
                          {"aten::upsample_nearest2d_backward", checked<upsample>},
                          {"aten::upsample_nearest3d_backward", checked<upsample>},
                          {"aten::upsample_trilinear3d_backward", checked<upsample>},
                          {"aten::pixel_shuffle", checked<pixels>},
                          {"aten::pixel_unshuffle", checked<pixels>},
                          {"aten::embedding_bag", checked<embeddingBag>},
                          {"aten::gru", checkRecurrent},
                          {"aten::gru_cell", checkRecurrent},
                          {"aten::lstm", checkRecurrent},
                          {"aten::lstm_cell", checkRecurrent},
                          {"aten::rnn_relu", checkRecurrent},
                          {"aten::rnn_relu_cell", checkRecurrent},
                          {"aten::rnn_tanh", checkRecurrent},
                          {"aten::rnn_tanh_cell", checkRecurrent},
                      });

}  // namespace

Table<ArgumentCheck>& argumentChecks() {
  static Table<ArgumentCheck> table("check");
  return table;
}

ArgumentCheck findArgumentCheck(const c10::OperatorHandle& op) {
  const ArgumentCheck* found = argumentChecks().find(op.schema().name());
  return found == nullptr ? nullptr : *found;
}

}  // namespace tc
