#include "core/program/allowed_operators.h"

#include <ATen/core/jit_type.h>

#include <algorithm>
#include <string>
#include <unordered_set>

#include "core/runtime/error.h"

namespace tc {
namespace {

/// What is missing here, and why: operators on files (`from_file`), storages, devices and streams;
/// views that reinterpret memory (`as_strided`, `view` as another type, `_reshape_alias`); sparse,
/// nested and quantized tensors; fused kernels of other libraries and backward passes that take
/// indices, offsets or sizes on trust (`ctc_loss`, `max_pool2d_backward`); arithmetic of whole
/// numbers that may divide by zero (`range`); packed sequences, whose number of rows is in their
/// data; functions without derivatives that take as long as an argument is large
/// (`special_chebyshev_polynomial_t`).
constexpr OperatorFamily kFamilies[] = {
    {"Arithmetic on each element, with broadcasting.",
     " abs absolute add addcdiv addcmul clamp clamp_max clamp_min clip copysign deg2rad div"
     " divide float_power floor_divide fmax fmin fmod frexp gcd hypot lcm ldexp lerp maximum"
     " minimum mul multiply nan_to_num neg negative nextafter positive pow rad2deg reciprocal"
     " remainder rsqrt rsub sgn sign sqrt square sub subtract true_divide xlogy"},
    {"Transcendental functions of each element.",
     " acos acosh arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2"
     " atanh cos cosh digamma erf erfc erfinv exp exp2 expm1 i0 igamma igammac lgamma log"
     " log10 log1p log2 logaddexp logaddexp2 logit mvlgamma polygamma sigmoid sin sinc sinh"
     " special_airy_ai special_bessel_j0 special_bessel_j1 special_bessel_y0"
     " special_bessel_y1 special_digamma special_entr special_erf special_erfc special_erfcx"
     " special_erfinv special_exp2 special_expit special_expm1 special_gammainc"
     " special_gammaincc special_gammaln special_i0 special_i0e special_i1 special_i1e"
     " special_log1p special_log_ndtr special_logit special_modified_bessel_i0"
     " special_modified_bessel_i1 special_modified_bessel_k0 special_modified_bessel_k1"
     " special_multigammaln special_ndtr special_ndtri special_polygamma special_psi"
     " special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1 special_sinc"
     " special_spherical_bessel_j0 special_xlog1py special_xlogy special_zeta tan tanh"},
    {"Steps and comparisons: no derivative, but part of how models choose.",
     " __and__ __lshift__ __or__ __rshift__ __xor__ bitwise_and bitwise_left_shift"
     " bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil eq fix floor frac ge greater"
     " greater_equal gt heaviside isclose isfinite isinf isnan isneginf isposinf isreal le less"
     " less_equal logical_and logical_not logical_or logical_xor lt ne not_equal round signbit"
     " special_round trunc"},
    {"Activations.",
     " _prelu_kernel celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu"
     " log_sigmoid log_sigmoid_forward mish prelu relu relu6 rrelu selu silu softplus"
     " softshrink threshold"},
    {"Derivatives of element-wise functions and softmax, in graphs that hold derivatives.",
     " _log_softmax_backward_data _prelu_kernel_backward _softmax_backward_data"
     " binary_cross_entropy_backward elu_backward gelu_backward glu_backward"
     " hardshrink_backward hardsigmoid_backward hardswish_backward hardtanh_backward"
     " huber_loss_backward infinitely_differentiable_gelu_backward leaky_relu_backward"
     " log_sigmoid_backward logit_backward mish_backward mse_loss_backward"
     " native_dropout_backward sigmoid_backward silu_backward smooth_l1_loss_backward"
     " soft_margin_loss_backward softplus_backward softshrink_backward tanh_backward"
     " threshold_backward"},
    {"Softmax and its kin.",
     " _log_softmax _safe_softmax _softmax log_softmax logsumexp softmax special_log_softmax"
     " special_logsumexp special_softmax"},
    {"Reductions and scans.",
     " _logcumsumexp all amax amin aminmax any argmax argmin argsort count_nonzero cummax"
     " cummin cumprod cumsum cumulative_trapezoid diff dist frobenius_norm gradient kthvalue"
     " linalg_norm linalg_vector_norm logcumsumexp max mean median min mode msort nanmean"
     " nanmedian nanquantile nansum norm norm_except_dim nuclear_norm prod quantile sort std"
     " std_mean sum sum_to_size topk trace trapezoid trapz var var_mean"},
    {"Products of matrices and tensors.",
     " _trilinear addbmm addmm addmv addr baddbmm bilinear bmm chain_matmul cosine_similarity"
     " cross dot einsum ger inner kron linalg_cross linalg_matmul linalg_multi_dot"
     " linalg_vecdot linear matmul mm mv outer tensordot vdot"},
    {"Linear algebra of small matrices.",
     " _linalg_det _linalg_eigh _linalg_slogdet _linalg_solve_ex _linalg_svd _lu_with_info"
     " cholesky cholesky_inverse cholesky_solve det inverse linalg_cholesky"
     " linalg_cholesky_ex linalg_cond linalg_det linalg_diagonal linalg_eig linalg_eigh"
     " linalg_eigvals linalg_eigvalsh linalg_householder_product linalg_inv linalg_inv_ex"
     " linalg_lu linalg_lu_factor linalg_lu_factor_ex linalg_lu_solve linalg_matrix_exp"
     " linalg_matrix_norm linalg_matrix_power linalg_matrix_rank linalg_pinv linalg_qr"
     " linalg_slogdet linalg_solve linalg_solve_ex linalg_solve_triangular linalg_svd"
     " linalg_svdvals linalg_tensorinv linalg_tensorsolve linalg_vander logdet lu_solve"
     " lu_unpack matrix_exp matrix_power orgqr ormqr pinverse qr slogdet svd triangular_solve"
     " vander"},
    {"Convolutions and pools.",
     " _adaptive_avg_pool2d _adaptive_avg_pool3d _convolution _convolution_mode"
     " adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d"
     " adaptive_max_pool2d adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d col2im conv1d"
     " conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d convolution"
     " im2col max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices"
     " max_pool3d max_pool3d_with_indices max_unpool2d max_unpool3d"},
    {"Sampling of images.",
     " _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d"
     " _upsample_nearest_exact2d _upsample_nearest_exact3d affine_grid_generator"
     " channel_shuffle grid_sampler grid_sampler_2d grid_sampler_3d native_channel_shuffle"
     " pixel_shuffle pixel_unshuffle upsample_bicubic2d upsample_bilinear2d upsample_linear1d"
     " upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d"},
    {"Normalizations; those of batches in evaluation mode.",
     " _batch_norm_impl_index _fused_rms_norm _native_batch_norm_legit"
     " _native_batch_norm_legit_no_training _weight_norm _weight_norm_interface batch_norm"
     " group_norm instance_norm layer_norm native_batch_norm native_group_norm"
     " native_layer_norm renorm rms_norm"},
    {"Attention.",
     " _scaled_dot_product_attention_math _scaled_dot_product_flash_attention_for_cpu"
     " scaled_dot_product_attention"},
    {"Recurrent layers; their sizes are checked before they are called.",
     " gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell"},
    {"Dropout, which is nothing outside training.",
     " alpha_dropout dropout feature_alpha_dropout feature_dropout native_dropout"},
    {"Other shapes of the same elements.",
     " _pad_circular _pad_enum _unsafe_view adjoint alias atleast_1d atleast_2d atleast_3d"
     " block_diag broadcast_tensors broadcast_to cartesian_prod cat chunk clone column_stack"
     " combinations concat concatenate constant_pad_nd contiguous diag diag_embed diagflat"
     " diagonal diagonal_scatter dsplit dstack expand expand_as flatten flip fliplr flipud"
     " hsplit hstack mH mT matrix_H meshgrid moveaxis movedim narrow numpy_T pad pad_sequence"
     " permute ravel reflection_pad1d reflection_pad2d reflection_pad3d repeat"
     " replication_pad1d replication_pad2d replication_pad3d reshape reshape_as roll rot90"
     " row_stack select select_scatter slice slice_scatter split split_with_sizes squeeze"
     " stack swapaxes swapdims t tensor_split tile transpose tril triu unbind unflatten"
     " unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze view view_as vsplit"
     " vstack"},
    {"The same as copies, as functional graphs have them.",
     " _reshape_copy alias_copy detach_copy diagonal_copy expand_copy narrow_copy"
     " permute_copy select_copy slice_copy split_copy split_with_sizes_copy squeeze_copy"
     " t_copy transpose_copy unbind_copy unfold_copy unsqueeze_copy view_as_complex_copy"
     " view_as_real_copy view_copy"},
    {"Derivatives of selections, in graphs that hold derivatives.",
     " diagonal_backward masked_scatter_backward reflection_pad1d_backward"
     " reflection_pad2d_backward reflection_pad3d_backward replication_pad1d_backward"
     " replication_pad2d_backward replication_pad3d_backward select_backward slice_backward"
     " unfold_backward"},
    {"Derivatives of layers, in graphs that hold derivatives; the shapes of gradients are checked.",
     " _adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward"
     " _upsample_bicubic2d_aa_backward _upsample_bilinear2d_aa_backward"
     " _upsample_nearest_exact1d_backward _upsample_nearest_exact2d_backward"
     " _upsample_nearest_exact3d_backward avg_pool2d_backward avg_pool3d_backward"
     " convolution_backward native_layer_norm_backward upsample_bicubic2d_backward"
     " upsample_bilinear2d_backward upsample_linear1d_backward upsample_nearest1d_backward"
     " upsample_nearest2d_backward upsample_nearest3d_backward upsample_trilinear3d_backward"},
    {"Choosing by masks and indices, which libtorch checks.",
     " _unique _unique2 _unsafe_index _unsafe_index_put argwhere bincount bucketize embedding"
     " embedding_bag fill gather index index_add index_copy index_fill index_put index_reduce"
     " index_select isin masked_fill masked_scatter masked_select nonzero nonzero_numpy"
     " one_hot put repeat_interleave scatter scatter_add scatter_reduce searchsorted take"
     " take_along_dim tril_indices triu_indices unique_consecutive unique_dim"
     " unique_dim_consecutive where"},
    {"Distances and covariances.",
     " _cdist_forward _euclidean_dist cdist corrcoef cov pairwise_distance pdist"},
    {"Losses as parts of models.",
     " binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss"
     " cross_entropy_loss hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss"
     " mse_loss nll_loss nll_loss2d nll_loss2d_forward nll_loss_forward nll_loss_nd"
     " poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss"},
    {"Fourier transforms and complex numbers.",
     " _conj _conj_physical _fft_c2c _fft_c2r _fft_r2c _neg_view angle complex conj"
     " conj_physical fft_fft fft_fft2 fft_fftfreq fft_fftn fft_fftshift fft_hfft fft_hfft2"
     " fft_hfftn fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_ihfft fft_ihfft2 fft_ihfftn"
     " fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftfreq fft_rfftn imag istft"
     " polar real resolve_conj resolve_neg stft view_as_complex view_as_real"},
    {"New tensors of known values.",
     " _new_zeros_with_same_feature_meta arange bartlett_window blackman_window empty empty_like"
     " empty_permuted eye full full_like hamming_window hann_window kaiser_window linspace logspace"
     " new_empty new_full new_ones new_zeros ones ones_like scalar_tensor zero zeros zeros_like"},
    {"Other types and places of the same values.",
     " _cast_Double _cast_Float _cast_Int _cast_Long _to_copy copy detach lift lift_fresh"
     " lift_fresh_copy to type_as"},
    {"Random numbers: known here so that their refusal says what they are.",
     " bernoulli multinomial normal normal_functional poisson rand rand_like randint"
     " randint_like randn randn_like randperm"},
};

const std::unordered_set<std::string_view>& allowed() {
  static const auto all = [] {
    std::unordered_set<std::string_view> names;
    for (const OperatorFamily& family : kFamilies) {
      for (std::string_view rest = family.names; !rest.empty();) {
        rest.remove_prefix(1);
        const std::string_view name = rest.substr(0, rest.find(' '));
        names.insert(name);
        rest.remove_prefix(name.size());
      }
    }
    return names;
  }();
  return all;
}

/// Whether a result is a tensor: overloads for plain numbers share the names of those for tensors.
bool givesTensors(const c10::FunctionSchema& schema) {
  return std::any_of(schema.returns().begin(), schema.returns().end(), [](const auto& result) {
    return result.type()->isSubtypeOf(*c10::TensorType::get()) ||
           result.type()->isSubtypeOf(*c10::ListType::ofTensors());
  });
}

/// Overloads that give other elements than their operator is listed for.
bool reinterprets(const c10::FunctionSchema& schema) {
  return (schema.name() == "aten::view" || schema.name() == "aten::view_copy") &&
         schema.overload_name() == "dtype";
}

}  // namespace

std::span<const OperatorFamily> allowedOperators() { return kFamilies; }

bool isAllowed(const c10::OperatorHandle& op) {
  constexpr std::string_view kNamespace = "aten::";
  const c10::FunctionSchema& schema = op.schema();
  const std::string_view name = schema.name();
  return name.starts_with(kNamespace) && allowed().contains(name.substr(kNamespace.size())) &&
         !reinterprets(schema) && givesTensors(schema);
}

void requireAllowed(const c10::OperatorHandle& op) {
  if (isAllowed(op)) return;
  throw Error("ERR_UNSUPPORTED_OP",
              op.schema().name() +
                  " is not among the operators that a model may consist of: functions of tensors "
                  "that touch no file, no global state and no memory but their own");
}

}  // namespace tc
