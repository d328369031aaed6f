// Operators that are linear in their tensors: the tangent of the result is the operator of the
// tangents.

#include <ATen/TensorOperators.h>

#include "core/linearization/autograd/pushforwards/pushforward.h"

namespace tc {
namespace {

/// Linear in the first argument alone.
Pushforward inFirst(const Call& call) {
  if (!call.only(0)) return {};
  Replaced again(call);
  again.set(0, {});
  return [again, place = Call::Active{0, 0, {}}](const Tangents& tangents) -> Tangents {
    return again.call(place, tangents.front());
  };
}

/// The same for an operator that fills in a number: a constant, whose tangent is zero.
Rule filling(size_t argument) {
  return [argument](const Call& call) -> Pushforward {
    if (!call.only(0)) return {};
    Call plain = call;
    if (!plain.arguments[argument].isNone()) plain.arguments[argument] = 0.0;
    return inFirst(plain);
  };
}

/// A view of another shape. A tangent may lie otherwise in memory than its primal, so that a view
/// of it needs a copy.
Pushforward reshaped(const Call& call) {
  if (!call.only(0)) return {};
  return [shape = call.results.front().sizes().vec()](const Tangents& tangents) -> Tangents {
    return {tangents.front().reshape(shape)};
  };
}

/// Linear in some of its tensors together, arguments `first` and after or the elements of a list:
/// constants among them, whole numbers too, have the tangent zero. In the precision of the result,
/// in which they do not decide that of the tangent.
Rule together(size_t first) {
  return [first](const Call& call) -> Pushforward {
    const auto zero = [like = zeroLike(call.results.front())](const at::Tensor& each) {
      return like.expand(each.sizes());
    };
    Call plain = call;
    for (size_t i = first; i < plain.arguments.size(); ++i) {
      c10::IValue& argument = plain.arguments[i];
      if (argument.isTensor()) argument = zero(argument.toTensor());
      if (!argument.isTensorList()) continue;
      c10::List<at::Tensor> zeros;
      for (const at::Tensor& each : argument.toTensorVector()) zeros.push_back(zero(each));
      argument = zeros;
    }
    std::vector<Call::Active> places = call.active;
    for (Call::Active& place : places) {
      if (place.argument < first) return {};
      place.primal.reset();
    }
    return [again = Replaced(plain), places](const Tangents& tangents) -> Tangents {
      return again.call(places, tangents);
    };
  };
}

/// x + a constant
Pushforward unchanged(const Call& call) {
  if (!call.only(0)) return {};
  return [](const Tangents& tangents) { return tangents; };
}

Pushforward inactiveDropout(const Call& call) {
  constexpr size_t kTrain = 2;
  return call.arguments[kTrain].toBool() ? Pushforward() : unchanged(call);
}

/// a ± s b
Rule weightedSum(double sign) {
  return [sign](const Call& call) -> Pushforward {
    constexpr size_t kAlpha = 2;
    const double scale = sign * call.arguments[kAlpha].toScalar().toDouble();
    if (call.active.size() == 2) return together(0)(call);
    if (!ofOnePrecision(call)) return {};
    const bool first = call.active.front().argument == 0;
    return [scale = first ? 1.0 : scale,
            shape = call.results.front().sizes().vec()](const Tangents& tangents) -> Tangents {
      const at::Tensor& tangent = tangents.front();
      return {(scale == 1.0 ? tangent : tangent * scale).expand(shape)};
    };
  };
}

const Rows<Rule> kRows(pushforwardRules(), {
                                               {"aten::view", reshaped},
                                               {"aten::_unsafe_view", reshaped},
                                               {"aten::reshape", reshaped},
                                               {"aten::reshape_as", reshaped},
                                               {"aten::view_as", reshaped},
                                               {"aten::flatten", reshaped},
                                               {"aten::unflatten", reshaped},
                                               {"aten::squeeze", reshaped},
                                               {"aten::unsqueeze", reshaped},
                                               {"aten::alias", inFirst},
                                               {"aten::clone", inFirst},
                                               {"aten::contiguous", inFirst},
                                               {"aten::permute", inFirst},
                                               {"aten::transpose", inFirst},
                                               {"aten::swapaxes", inFirst},
                                               {"aten::movedim", inFirst},
                                               {"aten::t", inFirst},
                                               {"aten::numpy_T", inFirst},
                                               {"aten::expand", inFirst},
                                               {"aten::expand_as", inFirst},
                                               {"aten::broadcast_to", inFirst},
                                               {"aten::repeat", inFirst},
                                               {"aten::tile", inFirst},
                                               {"aten::slice", inFirst},
                                               {"aten::narrow", inFirst},
                                               {"aten::select", inFirst},
                                               {"aten::diagonal", inFirst},
                                               {"aten::unfold", inFirst},
                                               {"aten::split", inFirst},
                                               {"aten::split_with_sizes", inFirst},
                                               {"aten::chunk", inFirst},
                                               {"aten::unbind", inFirst},
                                               {"aten::flip", inFirst},
                                               {"aten::roll", inFirst},
                                               {"aten::tril", inFirst},
                                               {"aten::triu", inFirst},
                                               {"aten::index", inFirst},
                                               {"aten::index_select", inFirst},
                                               {"aten::gather", inFirst},
                                               {"aten::to", inFirst},
                                               {"aten::_to_copy", inFirst},
                                               {"aten::neg", inFirst},
                                               {"aten::mul.Scalar", inFirst},
                                               {"aten::div.Scalar", inFirst},
                                               {"aten::div.Tensor", inFirst},
                                               {"aten::sum", inFirst},
                                               {"aten::mean", inFirst},
                                               {"aten::cumsum", inFirst},
                                               {"aten::trace", inFirst},
                                               {"aten::avg_pool1d", inFirst},
                                               {"aten::avg_pool2d", inFirst},
                                               {"aten::avg_pool3d", inFirst},
                                               {"aten::adaptive_avg_pool1d", inFirst},
                                               {"aten::adaptive_avg_pool2d", inFirst},
                                               {"aten::adaptive_avg_pool3d", inFirst},
                                               {"aten::pixel_shuffle", inFirst},
                                               {"aten::pixel_unshuffle", inFirst},
                                               {"aten::upsample_nearest1d", inFirst},
                                               {"aten::upsample_nearest2d", inFirst},
                                               {"aten::upsample_nearest3d", inFirst},
                                               {"aten::upsample_linear1d", inFirst},
                                               {"aten::upsample_bilinear2d", inFirst},
                                               {"aten::masked_fill.Scalar", filling(2)},
                                               {"aten::constant_pad_nd", filling(2)},
                                               {"aten::pad", filling(3)},
                                               {"aten::cat", together(0)},
                                               {"aten::concat", together(0)},
                                               {"aten::stack", together(0)},
                                               {"aten::where.self", together(1)},
                                               {"aten::add.Scalar", unchanged},
                                               {"aten::sub.Scalar", unchanged},
                                               {"aten::dropout", inactiveDropout},
                                               {"aten::add.Tensor", weightedSum(1)},
                                               {"aten::sub.Tensor", weightedSum(-1)},
                                           });

}  // namespace

}  // namespace tc
