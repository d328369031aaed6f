#include "core/linearization/batch_axes.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/program/sizes.h"

namespace tc {
namespace {

/// An axis of a value, or one of these.
constexpr int64_t kConstant = -1;  ///< the value is the same for all rows
constexpr int64_t kMixed = -2;     ///< rows meet in it

struct Operand {
  size_t argument;
  at::Tensor tensor;
  int64_t axis;  ///< with the same axes merged with it in all operands of a call
};

/// A call with at least one operand that has rows, and none that mixes them.
class RowCall {
 public:
  RowCall(const c10::FunctionSchema& schema, const torch::jit::Stack& arguments,
          const std::vector<Operand>& operands)
      : schema_(schema), arguments_(arguments), operands_(operands) {}

  const std::vector<Operand>& operands() const { return operands_; }
  const Operand& first() const { return operands_.front(); }
  int64_t rank() const { return first().tensor.dim(); }
  /// The axis of the first operand, where all others are constants.
  int64_t onlyAxis() const {
    const bool only = std::all_of(operands_.begin() + 1, operands_.end(),
                                  [](const Operand& other) { return other.axis == kConstant; });
    return only && first().axis >= 0 ? first().axis : kMixed;
  }
  const Operand* at(size_t argument) const {
    const auto found = std::find_if(operands_.begin(), operands_.end(),
                                    [&](const Operand& each) { return each.argument == argument; });
    return found == operands_.end() ? nullptr : &*found;
  }

  const c10::IValue* argument(std::string_view name) const {
    const auto index = schema_.argumentIndexWithName(name);
    return index ? &arguments_[static_cast<size_t>(*index)] : nullptr;
  }
  bool isFalse(std::string_view name) const {
    const c10::IValue* value = argument(name);
    return value != nullptr && value->isBool() && !value->toBool();
  }
  bool isTrue(std::string_view name) const {
    const c10::IValue* value = argument(name);
    return value != nullptr && value->isBool() && value->toBool();
  }
  /// An axis of a tensor of `rank` axes; nothing where there is no such argument.
  std::optional<int64_t> dim(std::string_view name, int64_t rank) const {
    const c10::IValue* value = argument(name);
    if (value == nullptr || !value->isInt()) return {};
    return value->toInt() < 0 ? value->toInt() + rank : value->toInt();
  }
  /// The axes of the first operand that `dim` or `dims` names; empty where it names none.
  std::vector<int64_t> dims() const {
    const c10::IValue* value = argument("dim");
    if (value == nullptr) value = argument("dims");
    std::vector<int64_t> axes;
    if (value != nullptr && value->isInt()) axes = {value->toInt()};
    if (value != nullptr && value->isIntList()) axes = value->toIntVector();
    for (int64_t& axis : axes) axis = axis < 0 ? axis + rank() : axis;
    return axes;
  }

 private:
  const c10::FunctionSchema& schema_;
  const torch::jit::Stack& arguments_;
  const std::vector<Operand>& operands_;
};

/// The batch axis of a call's result, the one at `index`; the same axes are merged with it as in
/// the operands.
using Rule = int64_t (*)(const RowCall& call, const at::Tensor& result, size_t index);

/// Operands are aligned at their last axes: all rows should be the same number of axes before the
/// end, where constants have nothing or one.
int64_t elementwise(const RowCall& call, const at::Tensor& result, size_t) {
  int64_t fromEnd = 0;
  for (const Operand& each : call.operands()) {
    if (each.axis < 0) continue;
    const int64_t here = each.tensor.dim() - each.axis;
    if (fromEnd > 0 && here != fromEnd) return kMixed;
    fromEnd = here;
  }
  for (const Operand& each : call.operands()) {
    const int64_t facing = each.tensor.dim() - fromEnd;
    if (each.axis == kConstant && facing >= 0 && each.tensor.size(facing) != 1) return kMixed;
  }
  return result.dim() - fromEnd;
}

/// Images, one after the other, and constants.
int64_t leading(const RowCall& call, const at::Tensor&, size_t) {
  return call.onlyAxis() == 0 ? 0 : kMixed;
}

int64_t batchNorm(const RowCall& call, const at::Tensor& result, size_t index) {
  const bool evaluates = call.isFalse("training") || call.isFalse("train");
  return evaluates ? leading(call, result, index) : kMixed;
}

/// With one operand it gives places instead.
int64_t chosen(const RowCall& call, const at::Tensor& result, size_t index) {
  return call.operands().size() > 1 ? elementwise(call, result, index) : kMixed;
}

/// The axis where it lies before the last so many, which are worked along.
int64_t beforeLast(const RowCall& call, int64_t axes) {
  return call.onlyAxis() < call.rank() - axes ? call.onlyAxis() : kMixed;
}

int64_t lastAxis(const RowCall& call, const at::Tensor&, size_t) { return beforeLast(call, 1); }

int64_t layerNorm(const RowCall& call, const at::Tensor&, size_t) {
  const c10::IValue* shape = call.argument("normalized_shape");
  if (shape == nullptr || !shape->isIntList()) return kMixed;
  return beforeLast(call, static_cast<int64_t>(shape->toIntVector().size()));
}

/// [.., m, k] times [.., k, n], both of at least two axes, or the former times a constant [k].
int64_t matrixProduct(const Operand& a, const Operand& b, const at::Tensor& result) {
  if (b.tensor.dim() == 1 && b.axis == kConstant && a.axis < a.tensor.dim() - 1) return a.axis;
  if (a.tensor.dim() < 2 || b.tensor.dim() < 2) return kMixed;
  const int64_t aFromEnd = a.tensor.dim() - a.axis;
  const int64_t bFromEnd = b.tensor.dim() - b.axis;
  const auto facesOne = [](const Operand& constant, int64_t fromEnd) {
    return constant.tensor.dim() < fromEnd ||
           constant.tensor.size(constant.tensor.dim() - fromEnd) == 1;
  };
  int64_t fromEnd = 0;
  if (a.axis >= 0 && b.axis >= 0) {
    fromEnd = aFromEnd == bFromEnd && aFromEnd > 2 ? aFromEnd : 0;
  } else if (a.axis >= 0) {
    fromEnd = aFromEnd == 2 || (aFromEnd > 2 && facesOne(b, aFromEnd)) ? aFromEnd : 0;
  } else {
    fromEnd = bFromEnd == 1 || (bFromEnd > 2 && facesOne(a, bFromEnd)) ? bFromEnd : 0;
  }
  return fromEnd > 0 ? result.dim() - fromEnd : kMixed;
}

int64_t product(const RowCall& call, const at::Tensor& result, size_t) {
  return matrixProduct(call.operands()[0], call.operands()[1], result);
}

/// A constant plus a product.
int64_t addedProduct(const RowCall& call, const at::Tensor& result, size_t) {
  if (call.operands().size() != 3 || call.first().axis != kConstant) return kMixed;
  const int64_t axis = matrixProduct(call.operands()[1], call.operands()[2], result);
  const int64_t facing = call.first().tensor.dim() - (result.dim() - axis);
  const bool broadcast = facing < 0 || call.first().tensor.size(facing) == 1;
  return axis >= 0 && broadcast ? axis : kMixed;
}

/// Works along axes that it names, and drops them or does not.
int64_t along(const RowCall& call, const at::Tensor& result, size_t) {
  const int64_t axis = call.onlyAxis();
  const std::vector<int64_t> dims = call.dims();
  if (dims.empty() || std::find(dims.begin(), dims.end(), axis) != dims.end()) return kMixed;
  if (result.dim() == call.rank()) return axis;
  const auto below = std::count_if(dims.begin(), dims.end(), [&](int64_t d) { return d < axis; });
  return axis - below;
}

/// Of two operands that are broadcast, works along axes that it names.
int64_t pairAlong(const RowCall& call, const at::Tensor& result, size_t index) {
  int64_t rank = 0;
  for (const Operand& each : call.operands()) rank = std::max(rank, each.tensor.dim());
  const auto dim = call.dim("dim", rank);
  if (!dim) return kMixed;
  const bool drops = result.dim() < rank;
  const int64_t axis = elementwise(call, result, index) + (drops ? rank - result.dim() : 0);
  if (axis < 0 || axis == *dim) return kMixed;
  return drops && *dim < axis ? axis - 1 : axis;
}

/// Takes from one operand, or puts there, along an axis that is not the rows', by indices of the
/// same rows.
int64_t byIndices(const RowCall& call, const at::Tensor&, size_t) {
  const int64_t axis = call.first().axis;
  const auto dim = call.dim("dim", call.rank());
  if (!dim || *dim == axis) return kMixed;
  for (const Operand& each : call.operands()) {
    if (each.axis != axis || each.tensor.dim() != call.rank()) return kMixed;
  }
  return axis;
}

/// Matrices in the last two axes, one of each row, and others that all rows share.
int64_t matrices(const RowCall& call, const at::Tensor&, size_t) {
  int64_t axis = kMixed;
  int64_t rank = 0;
  for (const Operand& each : call.operands()) {
    if (each.axis < 0) continue;
    if (axis >= 0 && (each.axis != axis || each.tensor.dim() != rank)) return kMixed;
    axis = each.axis;
    rank = each.tensor.dim();
    if (axis >= rank - 2) return kMixed;
  }
  for (const Operand& each : call.operands()) {
    if (each.axis == kConstant && each.tensor.dim() > 2) return kMixed;
  }
  return axis;
}

/// Operands of the same rows, each with them first, and constants that all rows share.
int64_t cells(const RowCall& call, const at::Tensor&, size_t) {
  for (const Operand& each : call.operands()) {
    if (each.axis > 0) return kMixed;
  }
  return call.first().axis;
}

/// The numbers of rows lie before the axes that are padded.
int64_t padded(const RowCall& call, const at::Tensor&, size_t) {
  const c10::IValue* pad = call.argument("pad");
  if (pad == nullptr || !pad->isIntList()) return kMixed;
  return beforeLast(call, static_cast<int64_t>(pad->toIntVector().size() / 2));
}

/// What a list of indices, one for each axis or none, leaves of the rows: by constants in axes
/// side by side behind theirs, or from a constant by the rows' own indices alone.
int64_t indexed(const RowCall& call, const at::Tensor&, size_t) {
  const c10::IValue* list = call.argument("indices");
  if (list == nullptr || !list->isList() || call.first().argument != 0) return kMixed;
  const auto given = list->toListRef();
  const auto isGiven = [](const c10::IValue& each) {
    return each.isTensor() && each.toTensor().defined();
  };
  const auto count = std::count_if(given.begin(), given.end(), isGiven);
  if (call.first().axis == kConstant) {
    const bool rowsOwn = count == 1 && call.operands().size() == 2 && isGiven(given[0]) &&
                         call.operands()[1].tensor.scalar_type() == at::kLong;
    return rowsOwn ? call.operands()[1].axis : kMixed;
  }
  const auto begin = std::find_if(given.begin(), given.end(), isGiven) - given.begin();
  const auto afterLast = std::find_if(given.rbegin(), given.rend(), isGiven).base();
  const bool together = afterLast - given.begin() - begin == count;
  return together && call.onlyAxis() < begin ? call.onlyAxis() : kMixed;
}

/// The axis with the rows' letter: the same in every operand that has them, in no constant.
int64_t einsum(const RowCall& call, const at::Tensor&, size_t) {
  const c10::IValue* equation = call.argument("equation");
  if (equation == nullptr || !equation->isString()) return kMixed;
  std::string text = equation->toStringRef();
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  if (arrow == std::string::npos || text.find('.') != std::string::npos) return kMixed;
  std::string_view terms(text.data(), arrow);
  const std::string_view result = std::string_view(text).substr(arrow + 2);
  const auto termOf = [&](size_t operand) {
    size_t from = 0;
    for (; operand > 0; --operand) from = terms.find(',', from) + 1;
    return terms.substr(from, terms.find(',', from) - from);
  };
  char letter = 0;
  for (size_t i = 0; i < call.operands().size(); ++i) {
    const Operand& each = call.operands()[i];
    const std::string_view term = termOf(i);
    if (each.axis < 0) continue;
    const char here = term[static_cast<size_t>(each.axis)];
    if ((letter != 0 && here != letter) || std::count(term.begin(), term.end(), here) > 1)
      return kMixed;
    letter = here;
  }
  for (size_t i = 0; i < call.operands().size(); ++i) {
    if (call.operands()[i].axis < 0 && termOf(i).find(letter) != std::string_view::npos)
      return kMixed;
  }
  const size_t found = result.find(letter);
  return found == std::string_view::npos ? kMixed : static_cast<int64_t>(found);
}

/// The same elements in the same order, in axes of other sizes: of the axis that `from` says in
/// `sizes`, the rows are where as many elements lie before them.
RowAxis regrouped(const RowAxis& from, at::IntArrayRef sizes, at::IntArrayRef result,
                  int64_t rows) {
  int64_t before = from.outer;
  for (const int64_t size : sizes.slice(0, static_cast<size_t>(from.axis))) before *= size;
  int64_t passed = 1;
  for (size_t d = 0; d < result.size() && passed > 0 && before % passed == 0; ++d) {
    const int64_t outer = before / passed;
    if (outer > 0 && result[d] > 0 && result[d] % (outer * rows) == 0)
      return {static_cast<int64_t>(d), outer, result[d] / (outer * rows)};
    passed *= result[d];
  }
  return {kMixed};
}

/// The axis before it is regrouped.
int64_t reshaped(const RowCall& call, const at::Tensor&, size_t) { return call.onlyAxis(); }

int64_t expanded(const RowCall& call, const at::Tensor& result, size_t) {
  return call.onlyAxis() >= 0 ? result.dim() - (call.rank() - call.onlyAxis()) : kMixed;
}

/// Over and over along other axes, of which there may be more in front.
int64_t repeated(const RowCall& call, const at::Tensor& result, size_t index) {
  return expanded(call, result, index);
}

/// In the shape of another value, whose rows are its own.
int64_t reshapedAs(const RowCall& call, const at::Tensor&, size_t) { return call.first().axis; }

int64_t transposed(const RowCall& call, const at::Tensor&, size_t) {
  const int64_t axis = call.onlyAxis();
  const int64_t one = call.dim("dim0", call.rank()).value_or(0);
  const int64_t other = call.dim("dim1", call.rank()).value_or(1);  // t() has neither
  return axis == one ? other : axis == other ? one : axis;
}

int64_t permuted(const RowCall& call, const at::Tensor&, size_t) {
  const std::vector<int64_t> dims = call.dims();
  const auto found = std::find(dims.begin(), dims.end(), call.onlyAxis());
  return found == dims.end() ? kMixed : found - dims.begin();
}

/// One axis, by numbers, to another place; the others keep their order.
int64_t moved(const RowCall& call, const at::Tensor&, size_t) {
  const int64_t axis = call.onlyAxis();
  const auto from = call.dim("source", call.rank());
  const auto to = call.dim("destination", call.rank());
  if (!from || !to || axis < 0) return kMixed;
  if (axis == *from) return *to;
  const int64_t left = axis - (*from < axis ? 1 : 0);
  return left + (left >= *to ? 1 : 0);
}

/// A part along an axis that is not the rows', or all of the rows.
int64_t sliced(const RowCall& call, const at::Tensor&, size_t) {
  const c10::IValue* step = call.argument("step");
  if (step != nullptr && (!step->isInt() || step->toInt() != 1)) return kMixed;
  return call.onlyAxis();  // the result's size is looked at
}

/// Parts along an axis that is not the rows'; dropped where the results have one less.
int64_t divided(const RowCall& call, const at::Tensor& result, size_t) {
  const int64_t axis = call.onlyAxis();
  const auto dim = call.dim("dim", call.rank());
  if (!dim || *dim == axis) return kMixed;
  return result.dim() < call.rank() && *dim < axis ? axis - 1 : axis;
}

/// A part of the rows' own, put along an axis that is not theirs, or in the place of everything.
int64_t putBack(const RowCall& call, const at::Tensor&, size_t) {
  const int64_t axis = call.first().axis;
  const auto dim = call.dim("dim", call.rank());
  const Operand* part = call.at(1);
  if (!dim || part == nullptr || axis < 0) return kMixed;
  if (part->tensor.dim() < call.rank())  // an element of the axis, without it
    return *dim != axis && part->axis == axis - (*dim < axis ? 1 : 0) ? axis : kMixed;
  const bool whole = part->tensor.size(*dim) == call.first().tensor.size(*dim);
  return part->axis == axis && (*dim != axis || whole) ? axis : kMixed;
}

/// One axis more behind the others, or none.
int64_t kept(const RowCall& call, const at::Tensor&, size_t) { return call.onlyAxis(); }

/// As many classes as are named, or as the largest of all rows.
int64_t oneHot(const RowCall& call, const at::Tensor&, size_t) {
  const c10::IValue* classes = call.argument("num_classes");
  return classes != nullptr && classes->isInt() && classes->toInt() > 0 ? call.onlyAxis() : kMixed;
}

/// Windows along an axis, which a new one behind the others holds.
int64_t windows(const RowCall& call, const at::Tensor&, size_t) {
  const auto dim = call.dim("dimension", call.rank());
  return dim && *dim != call.onlyAxis() ? call.onlyAxis() : kMixed;
}

/// Tensors with the same rows, side by side or, with one axis more, on top of one another.
int64_t joined(const RowCall& call, const at::Tensor& result, size_t) {
  const int64_t axis = call.first().axis;
  for (const Operand& each : call.operands()) {
    if (each.axis != axis || each.tensor.dim() != call.rank()) return kMixed;
  }
  const bool stacked = result.dim() > call.rank();
  const auto dim = call.dim("dim", result.dim());
  if (!dim || (*dim == axis && !stacked)) return kMixed;
  return stacked && *dim <= axis ? axis + 1 : axis;
}

int64_t embedded(const RowCall& call, const at::Tensor&, size_t) {
  const Operand* const weight = call.at(0);
  const Operand* const indices = call.at(1);
  return weight != nullptr && indices != nullptr && weight->axis == kConstant ? indices->axis
                                                                              : kMixed;
}

/// softmax(Q Kᵀ) V of each row; a mask is of each row or of all.
int64_t attention(const RowCall& call, const at::Tensor&, size_t) {
  for (const Operand& each : call.operands()) {
    const bool same = each.axis == 0 && each.tensor.dim() == call.rank() && call.rank() > 2;
    const bool mask = each.argument > 2 && each.axis == kConstant &&
                      (each.tensor.dim() < call.rank() || each.tensor.size(0) == 1);
    if (!same && !mask) return kMixed;
  }
  return 0;
}

/// (input, states, weights, …): what comes first among the results is a sequence, as the input.
int64_t recurrent(const RowCall& call, const at::Tensor&, size_t index) {
  const int64_t rows = call.isTrue("batch_first") ? 0 : 1;
  if (call.argument("batch_first") == nullptr || call.rank() != 3 || call.first().axis != rows)
    return kMixed;
  for (const Operand& each : call.operands()) {
    if (each.argument > 0 && each.axis >= 0 && each.axis != 1) return kMixed;
  }
  return index == 0 ? rows : 1;
}

struct Family {
  Rule rule;
  std::string_view names;  ///< with a space before each
};

/// A new rule is a row here.
constexpr Family kFamilies[] = {
    {elementwise,
     " _conj _to_copy abs absolute acos acosh add addcdiv addcmul alias angle asin asinh atan atan2"
     " atanh bitwise_and bitwise_not bitwise_or bitwise_xor ceil celu clamp clamp_max clamp_min "
     "clip"
     " clone complex conj conj_physical contiguous copy copysign cos cosh deg2rad detach digamma "
     "div"
     " divide dropout elu eq erf erfc erfinv exp exp2 expand_as expm1 fill float_power"
     " floor floor_divide fmax fmin fmod frac full_like ge gelu greater greater_equal gt hardshrink"
     " hardsigmoid hardswish hardtanh heaviside hypot i0 imag isfinite isinf isnan ldexp le"
     " leaky_relu lerp less less_equal lgamma lift_fresh lift_fresh_copy log log10 log1p log2"
     " log_sigmoid logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit lt"
     " masked_fill maximum minimum mish mul multiply nan_to_num ne neg negative not_equal ones_like"
     " polar positive pow rad2deg real reciprocal relu relu6 remainder resolve_conj resolve_neg"
     " round rsqrt rsub selu sgn sigmoid sign signbit silu sin sinc sinh softplus softshrink"
     " special_entr special_erfcx special_i0e special_i1 special_i1e special_log_ndtr special_ndtr"
     " special_ndtri special_xlog1py sqrt square sub subtract tan tanh threshold to true_divide"
     " trunc type_as xlogy zero zeros_like"},
    {chosen, " where"},
    {leading,
     " _adaptive_avg_pool2d _adaptive_avg_pool3d _convolution _native_batch_norm_legit_no_training"
     " _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d"
     " adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d"
     " adaptive_max_pool2d adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d channel_shuffle"
     " col2im conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution"
     " group_norm im2col instance_norm max_pool1d max_pool2d max_pool2d_with_indices max_pool3d"
     " native_channel_shuffle native_group_norm pixel_shuffle pixel_unshuffle prelu "
     "reflection_pad1d"
     " reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d"
     " upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d"
     " upsample_nearest2d upsample_nearest3d upsample_trilinear3d"},
    {batchNorm, " _native_batch_norm_legit batch_norm native_batch_norm"},
    {lastAxis, " linear mv view_as_complex"},
    {layerNorm, " layer_norm native_layer_norm rms_norm"},
    {product, " bmm linalg_matmul matmul mm"},
    {addedProduct, " addmm baddbmm"},
    {einsum, " einsum"},
    {matrices,
     " adjoint cdist cholesky det inverse linalg_cholesky linalg_det linalg_eigh linalg_eigvalsh"
     " linalg_inv linalg_matrix_exp linalg_matrix_power linalg_qr linalg_slogdet"
     " linalg_solve linalg_solve_triangular linalg_svdvals logdet mH mT matrix_exp slogdet tril"
     " triu"},
    {along,
     " _fft_c2c _fft_c2r _fft_r2c _log_softmax _safe_softmax _softmax all amax amin any argmax"
     " argmin argsort count_nonzero cummax cummin cumprod cumsum fft_fft fft_fft2 fft_fftn"
     " fft_fftshift fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_irfft fft_irfft2 fft_irfftn"
     " fft_rfft fft_rfft2 fft_rfftn flip glu index_select linalg_norm linalg_vector_norm"
     " log_softmax logcumsumexp logsumexp max mean min nanmean nansum norm prod repeat_interleave"
     " roll softmax sort std std_mean sum topk var var_mean"},
    {pairAlong, " cosine_similarity cross linalg_cross linalg_vecdot"},
    {byIndices, " gather scatter scatter_add take_along_dim"},
    {reshaped,
     " _reshape_copy _unsafe_view flatten ravel reshape squeeze squeeze_copy unflatten unsqueeze"
     " unsqueeze_copy view view_copy"},
    {reshapedAs, " reshape_as view_as"},
    {expanded, " broadcast_to expand expand_copy"},
    {repeated, " repeat tile"},
    {transposed, " swapdims t t_copy transpose transpose_copy"},
    {permuted, " permute permute_copy"},
    {moved, " moveaxis movedim"},
    {sliced, " narrow narrow_copy slice slice_copy"},
    {putBack, " select_scatter slice_scatter"},
    {kept, " bucketize view_as_real"},
    {oneHot, " one_hot"},
    {windows, " unfold unfold_copy"},
    {padded, " constant_pad_nd pad"},
    {indexed, " _unsafe_index index"},
    {divided,
     " chunk select select_copy split split_copy split_with_sizes split_with_sizes_copy"
     " tensor_split unbind unbind_copy unsafe_chunk unsafe_split unsafe_split_with_sizes"},
    {joined, " cat concat concatenate stack"},
    {embedded, " embedding"},
    {attention, " _scaled_dot_product_flash_attention_for_cpu scaled_dot_product_attention"},
    {recurrent, " gru lstm rnn_relu rnn_tanh"},
    {cells,
     " grid_sampler grid_sampler_2d grid_sampler_3d gru_cell lstm_cell rnn_relu_cell"
     " rnn_tanh_cell"},
};

/// Makers of tensors that hold one value, or one and the same for all rows.
constexpr std::string_view kUniform =
    " broadcast_to expand expand_copy full new_full new_ones new_zeros ones repeat zeros ";

Rule ruleOf(const c10::FunctionSchema& schema) {
  static const auto rules = [] {
    std::unordered_map<std::string_view, Rule> all;
    for (const Family& family : kFamilies) {
      for (std::string_view rest = family.names; !rest.empty();) {
        rest.remove_prefix(1);
        const std::string_view name = rest.substr(0, rest.find(' '));
        all.emplace(name, family.rule);
        rest.remove_prefix(name.size());
      }
    }
    return all;
  }();
  constexpr std::string_view kNamespace = "aten::";
  std::string_view name = schema.name();
  if (!name.starts_with(kNamespace)) return nullptr;
  name.remove_prefix(kNamespace.size());
  const auto found = rules.find(name);
  return found == rules.end() ? nullptr : found->second;
}

/// What a size has to do with the number of rows.
enum class Sized {
  kNo,
  kByRows,  ///< a sum or product with it
  kOddly,
};

/// What the sizes among a call's arguments have to do with it.
struct CallSizes {
  Sized most = Sized::kNo;
  bool alone = false;           ///< one by rows that is no part of a list
  std::vector<int64_t> byRows;  ///< where in a list such sizes are
};

class Sizes {
 public:
  Sizes(const std::vector<RowAxis>& axes, const std::vector<at::Tensor>& values)
      : axes_(axes), values_(values) {}

  CallSizes of(const std::vector<Program::Slot>& slots) const {
    CallSizes found;
    for (const Program::Slot& slot : slots) {
      if (const auto* size = std::get_if<ProgramSpec::Size>(&slot)) {
        const Sized here = of(*size);
        found.most = std::max(found.most, here);
        found.alone = found.alone || here != Sized::kNo;
      }
      if (const auto* sizes = std::get_if<ProgramSpec::Sizes>(&slot)) {
        for (size_t i = 0; i < sizes->size(); ++i) {
          const Sized here = of((*sizes)[i]);
          found.most = std::max(found.most, here);
          if (here != Sized::kNo) found.byRows.push_back(static_cast<int64_t>(i));
        }
      }
    }
    return found;
  }

 private:
  Sized of(const ProgramSpec::Size& size) const {
    using Kind = ProgramSpec::Size::Kind;
    if (size.kind == Kind::kAxis) return ofAxis(static_cast<size_t>(size.number), size.axis);
    if (size.kind == Kind::kItem)
      return axes_[static_cast<size_t>(size.number)].axis == kConstant ? Sized::kNo : Sized::kOddly;
    if (size.kind != Kind::kCall) return Sized::kNo;
    Sized operands = Sized::kNo;
    for (const ProgramSpec::Size& each : size.operands) operands = std::max(operands, of(each));
    const bool grows = size.function->name == "+" || size.function->name == "*";
    return operands == Sized::kNo || grows ? operands : Sized::kOddly;
  }
  Sized ofAxis(size_t value, int64_t axis) const {
    const int64_t rows = axes_[value].axis;
    if (rows == kMixed) return Sized::kOddly;
    if (rows == kConstant) return Sized::kNo;
    if (axis < 0 && !values_[value].defined()) return Sized::kOddly;  // it is gone already
    return rows == (axis < 0 ? axis + values_[value].dim() : axis) ? Sized::kByRows : Sized::kNo;
  }

  const std::vector<RowAxis>& axes_;
  const std::vector<at::Tensor>& values_;
};

/// The rows of a value that is the same for all: its one axis of so many.
int64_t uniform(const c10::FunctionSchema& schema, const CallSizes& sizes) {
  const std::string name = " " + schema.name().substr(schema.name().rfind(':') + 1) + " ";
  const bool known = kUniform.find(name) != std::string_view::npos;
  return known && !sizes.alone && sizes.byRows.size() == 1 ? sizes.byRows.front() : kMixed;
}

/// Whether a rule holds for a call with such sizes, whose result has the rows in this axis.
bool allows(Rule rule, const CallSizes& sizes, int64_t axis) {
  if (sizes.most == Sized::kNo) return true;
  if (sizes.alone) return false;  // the number of rows is one that is computed with
  // Another axis would grow with the rows.
  return rule == reshaped || (rule == expanded && sizes.byRows == std::vector{axis});
}

}  // namespace

BatchAxes::BatchAxes(const Point& point, int64_t rows) : rows_(rows) {
  axes_.assign(point.program->parameters().size(), {kConstant});
  for (size_t i = 0; i < point.inputs.size(); ++i)
    axes_.push_back({point.hasRows(i) ? 0 : kConstant});
  axes_.insert(axes_.end(), point.program->constants().size(), {kConstant});
}

BatchAxes::BatchAxes(std::vector<RowAxis> values, int64_t rows)
    : rows_(rows), axes_(std::move(values)) {}

void BatchAxes::observe(const Program::Node& node, const torch::jit::Stack& arguments,
                        const std::vector<at::Tensor>& values) {
  const c10::FunctionSchema& schema = node.op.schema();
  const Sizes sizes(axes_, values);
  std::vector<Operand> operands;
  std::vector<RowAxis> places;
  const CallSizes sized = sizes.of(node.slots);
  const auto add = [&](size_t argument, const c10::IValue& value, int64_t number) {
    if (!value.isTensor() || !value.toTensor().defined()) return;
    places.push_back(axes_[static_cast<size_t>(number)]);
    operands.push_back({argument, value.toTensor(), places.back().axis});
  };
  for (size_t i = 0; i < node.slots.size(); ++i) {
    if (const auto* ref = std::get_if<ProgramSpec::Ref>(&node.slots[i]))
      add(i, arguments[i], ref->value);
    if (const auto* refs = std::get_if<ProgramSpec::Refs>(&node.slots[i])) {
      const auto list = arguments[i].toListRef();
      for (size_t k = 0; k < list.size(); ++k) {
        if (const auto& value = refs->values[k]) add(i, list[k], *value);
      }
    }
  }
  const auto any = [&](auto&& is) { return std::any_of(places.begin(), places.end(), is); };
  // `new_zeros` and the like look at the kind of their operand alone.
  const bool looks = !schema.name().starts_with("aten::new_");
  const auto withRows = std::find_if(places.begin(), places.end(),
                                     [](const RowAxis& each) { return each.axis >= 0; });
  const bool hasRows = looks && withRows != places.end();
  const bool mixed = sized.most == Sized::kOddly || any([&](const RowAxis& each) {
                       return each.axis == kMixed ||
                              (hasRows && each.axis >= 0 &&
                               (each.outer != withRows->outer || each.inner != withRows->inner));
                     });
  const Rule rule = ruleOf(schema);
  const bool regroups = rule == reshaped || rule == reshapedAs;
  const RowCall call(schema, arguments, operands);
  for (int64_t i = 0; i < node.outputs; ++i) {
    const at::Tensor& result = values[values.size() - static_cast<size_t>(node.outputs - i)];
    if (!mixed && !hasRows && sized.most == Sized::kNo) {
      axes_.push_back({kConstant});
      continue;
    }
    RowAxis place{kMixed};
    if (mixed || !result.defined()) {
      // nothing is known
    } else if (!hasRows) {
      place.axis = uniform(schema, sized);
    } else if (rule != nullptr) {
      place = *withRows;
      place.axis = rule(call, result, static_cast<size_t>(i));
      if (regroups && place.axis >= 0)
        place = regrouped(place, call.first().tensor.sizes(), result.sizes(), rows_);
      if (!allows(rule, sized, place.axis)) place.axis = kMixed;
    }
    const bool fits = place.axis >= 0 && place.axis < result.dim() &&
                      result.size(place.axis) == place.outer * rows_ * place.inner;
    axes_.push_back(fits ? place : RowAxis{kMixed});
  }
}

}  // namespace tc
