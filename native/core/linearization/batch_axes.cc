#include "core/linearization/batch_axes.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "core/program/sizes.h"

namespace tc {
namespace {

/// An axis of a value, or one of these.
constexpr int64_t kConstant = -1;  ///< the value is the same for all rows
constexpr int64_t kMixed = -2;     ///< rows meet in it

struct Operand {
  size_t argument;
  at::Tensor tensor;
  int64_t axis;
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

/// The batch axis of a call's result, the one at `index`.
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

int64_t linear(const RowCall& call, const at::Tensor&, size_t) {
  return call.onlyAxis() < call.rank() - 1 ? call.onlyAxis() : kMixed;
}

int64_t layerNorm(const RowCall& call, const at::Tensor&, size_t) {
  const c10::IValue* shape = call.argument("normalized_shape");
  if (shape == nullptr || !shape->isIntList()) return kMixed;
  const auto last = static_cast<int64_t>(shape->toIntVector().size());
  return call.onlyAxis() < call.rank() - last ? call.onlyAxis() : kMixed;
}

/// [.., m, k] times [.., k, n], both of at least two axes.
int64_t matrixProduct(const Operand& a, const Operand& b, const at::Tensor& result) {
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

/// The rows are where as many elements lie before them.
int64_t sameElements(const Operand& value, const at::Tensor& result) {
  const auto count = [](at::IntArrayRef sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
  };
  const at::IntArrayRef from = value.tensor.sizes();
  const auto axis = static_cast<size_t>(value.axis);
  const int64_t before = count(from.slice(0, axis));
  const int64_t rows = from[axis];
  for (int64_t d = 0; d < result.dim(); ++d) {
    if (result.size(d) == rows && count(result.sizes().slice(0, static_cast<size_t>(d))) == before)
      return d;
  }
  return kMixed;
}

/// The same elements in the same order.
int64_t reshaped(const RowCall& call, const at::Tensor& result, size_t) {
  return call.onlyAxis() >= 0 ? sameElements(call.first(), result) : kMixed;
}

int64_t expanded(const RowCall& call, const at::Tensor& result, size_t) {
  return call.onlyAxis() >= 0 ? result.dim() - (call.rank() - call.onlyAxis()) : kMixed;
}

/// In the shape of another value, whose rows are its own.
int64_t reshapedAs(const RowCall& call, const at::Tensor& result, size_t) {
  return call.first().axis >= 0 ? sameElements(call.first(), result) : kMixed;
}

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

/// One axis more behind the others.
int64_t withLast(const RowCall& call, const at::Tensor&, size_t) { return call.onlyAxis(); }

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
     " _conj abs acos acosh add addcdiv addcmul alias angle asin asinh atan atan2 atanh bitwise_and"
     " bitwise_not bitwise_or bitwise_xor celu clamp clamp_max clamp_min clone complex conj "
     "conj_physical"
     " contiguous copysign"
     " cos cosh detach div dropout elu eq erf erfc exp exp2 expand_as expm1 floor fmod full_like "
     "ge gelu gt"
     " hardshrink hardsigmoid hardswish hardtanh imag isnan le leaky_relu lerp log log10 log1p log2"
     " log_sigmoid logaddexp logical_and logical_not logical_or lt masked_fill maximum minimum mish"
     " mul ne neg ones_like polar pow real reciprocal relu relu6 remainder rsqrt rsub selu sigmoid "
     "sign silu"
     " sin sinc sinh softplus softshrink sqrt square sub tan tanh threshold to _to_copy true_divide"
     " type_as xlogy zeros_like"},
    {chosen, " where"},
    {leading,
     " _adaptive_avg_pool2d _adaptive_avg_pool3d _convolution _native_batch_norm_legit_no_training"
     " adaptive_avg_pool1d"
     " adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d avg_pool1d"
     " avg_pool2d avg_pool3d conv1d conv2d conv3d conv_transpose1d conv_transpose2d"
     " conv_transpose3d convolution group_norm max_pool1d max_pool2d max_pool2d_with_indices"
     " max_pool3d native_group_norm pixel_shuffle pixel_unshuffle prelu reflection_pad1d"
     " reflection_pad2d replication_pad1d replication_pad2d upsample_bicubic2d upsample_bilinear2d"
     " upsample_linear1d upsample_nearest1d upsample_nearest2d"},
    {batchNorm, " _native_batch_norm_legit batch_norm native_batch_norm"},
    {linear, " linear"},
    {layerNorm, " layer_norm native_layer_norm rms_norm"},
    {product, " bmm matmul mm"},
    {addedProduct, " addmm baddbmm"},
    {along,
     " _log_softmax _softmax all amax amin any argmax argmin cumsum flip glu linalg_vector_norm"
     " log_softmax logsumexp max mean min prod roll softmax sort std sum topk var var_mean"},
    {reshaped, " _unsafe_view flatten reshape squeeze unflatten unsqueeze view"},
    {reshapedAs, " reshape_as view_as"},
    {expanded, " expand"},
    {transposed, " t transpose"},
    {permuted, " permute"},
    {moved, " movedim"},
    {sliced, " narrow slice"},
    {putBack, " select_scatter slice_scatter"},
    {withLast, " view_as_real"},
    {divided, " chunk select split split_with_sizes unbind"},
    {joined, " cat concat stack"},
    {embedded, " embedding"},
    {attention, " _scaled_dot_product_flash_attention_for_cpu scaled_dot_product_attention"},
    {recurrent, " gru lstm rnn_relu rnn_tanh"},
};

/// Makers of tensors that hold one value, or one and the same for all rows.
constexpr std::string_view kUniform = " expand full new_full new_ones new_zeros ones zeros ";

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

class Sizes {
 public:
  Sizes(const std::vector<int64_t>& axes, const std::vector<at::Tensor>& values)
      : axes_(axes), values_(values) {}

  Sized of(const Program::Slot& slot) const {
    if (const auto* size = std::get_if<ProgramSpec::Size>(&slot)) return of(*size);
    Sized sized = Sized::kNo;
    if (const auto* sizes = std::get_if<ProgramSpec::Sizes>(&slot)) {
      for (const ProgramSpec::Size& each : *sizes) sized = std::max(sized, of(each));
    }
    return sized;
  }

 private:
  Sized of(const ProgramSpec::Size& size) const {
    using Kind = ProgramSpec::Size::Kind;
    if (size.kind == Kind::kAxis) return ofAxis(static_cast<size_t>(size.number), size.axis);
    if (size.kind == Kind::kItem)
      return axes_[static_cast<size_t>(size.number)] == kConstant ? Sized::kNo : Sized::kOddly;
    if (size.kind != Kind::kCall) return Sized::kNo;
    Sized operands = Sized::kNo;
    for (const ProgramSpec::Size& each : size.operands) operands = std::max(operands, of(each));
    const bool grows = size.function->name == "+" || size.function->name == "*";
    return operands == Sized::kNo || grows ? operands : Sized::kOddly;
  }
  Sized ofAxis(size_t value, int64_t axis) const {
    if (axes_[value] == kMixed) return Sized::kOddly;
    if (axes_[value] == kConstant) return Sized::kNo;
    if (axis < 0 && !values_[value].defined()) return Sized::kOddly;  // it is gone already
    return axes_[value] == (axis < 0 ? axis + values_[value].dim() : axis) ? Sized::kByRows
                                                                           : Sized::kNo;
  }

  const std::vector<int64_t>& axes_;
  const std::vector<at::Tensor>& values_;
};

/// The rows of a value that is the same for all: its one axis of so many.
int64_t uniform(const c10::FunctionSchema& schema, const at::Tensor& result, int64_t rows) {
  const std::string name = " " + schema.name().substr(schema.name().rfind(':') + 1) + " ";
  if (kUniform.find(name) == std::string_view::npos) return kMixed;
  const at::IntArrayRef sizes = result.sizes();
  const auto found = std::find(sizes.begin(), sizes.end(), rows);
  return std::count(sizes.begin(), sizes.end(), rows) == 1 ? found - sizes.begin() : kMixed;
}

}  // namespace

BatchAxes::BatchAxes(const Point& point, int64_t rows) : rows_(rows) {
  axes_.assign(point.program->parameters().size(), kConstant);
  for (size_t i = 0; i < point.inputs.size(); ++i)
    axes_.push_back(point.hasRows(i) ? 0 : kConstant);
  axes_.insert(axes_.end(), point.program->constants().size(), kConstant);
}

void BatchAxes::observe(const Program::Node& node, const torch::jit::Stack& arguments,
                        const std::vector<at::Tensor>& values) {
  const c10::FunctionSchema& schema = node.op.schema();
  const Sizes sizes(axes_, values);
  std::vector<Operand> operands;
  Sized sized = Sized::kNo;
  const auto add = [&](size_t argument, const c10::IValue& value, int64_t number) {
    if (value.isTensor() && value.toTensor().defined())
      operands.push_back({argument, value.toTensor(), axes_[static_cast<size_t>(number)]});
  };
  for (size_t i = 0; i < node.slots.size(); ++i) {
    sized = std::max(sized, sizes.of(node.slots[i]));
    if (const auto* ref = std::get_if<ProgramSpec::Ref>(&node.slots[i]))
      add(i, arguments[i], ref->value);
    if (const auto* refs = std::get_if<ProgramSpec::Refs>(&node.slots[i])) {
      const auto list = arguments[i].toListRef();
      for (size_t k = 0; k < list.size(); ++k) {
        if (const auto& value = refs->values[k]) add(i, list[k], *value);
      }
    }
  }
  const auto any = [&](auto&& is) {
    return std::any_of(operands.begin(), operands.end(),
                       [&](const Operand& each) { return is(each.axis); });
  };
  const bool mixed = sized == Sized::kOddly || any([](int64_t axis) { return axis == kMixed; });
  // `new_zeros` and the like look at the kind of their operand alone.
  const bool looks = !schema.name().starts_with("aten::new_");
  const bool hasRows = looks && any([](int64_t axis) { return axis >= 0; });
  const Rule rule = ruleOf(schema);
  // Elsewhere the number of rows would be one of the numbers that are computed with.
  const bool shapes = rule == reshaped || rule == expanded;
  const RowCall call(schema, arguments, operands);
  for (int64_t i = 0; i < node.outputs; ++i) {
    const at::Tensor& result = values[values.size() - static_cast<size_t>(node.outputs - i)];
    if (!mixed && !hasRows && sized == Sized::kNo) {
      axes_.push_back(kConstant);
      continue;
    }
    int64_t axis = kMixed;
    if (mixed || !result.defined()) {
      axis = kMixed;
    } else if (!hasRows) {
      axis = uniform(schema, result, rows_);
    } else if (rule != nullptr && (sized == Sized::kNo || shapes)) {
      axis = rule(call, result, static_cast<size_t>(i));
    }
    const bool fits = axis >= 0 && axis < result.dim() && result.size(axis) == rows_;
    axes_.push_back(fits ? axis : kMixed);
  }
}

}  // namespace tc
