// Layers that are more than one of the other kinds: normalizations, softmax, recurrence.
#include "core/runtime/random.h"
#include "operations.h"

namespace tc::test {
namespace {

/// A scale and a shift for each channel, a scale alone, or nothing. Not a shift alone: the backward
/// pass of libtorch's group norm fails then (seen with 2.13).
struct Affine {
  Argument weight;
  Argument bias;
};
Affine affine(Sketch& s, const Sketch::Shape& shape) {
  Affine result;
  if (s.chance(0.7)) result.weight = s.factor(shape).ref;
  if (s.chance(0.7) && result.weight.index() != 0) result.bias = s.factor(shape).ref;
  return result;
}

/// PyTorch's backward pass of batch norm on the CPU misreads tensors that are not contiguous: a
/// weight with gaps, an image with channels last or a single pixel across (seen with 2.13; its own
/// gradcheck fails).
Value contiguous(Sketch& s, const Value& x) { return s.call("aten::contiguous", {x.ref}); }

/// The weight and the bias of a batch norm.
Affine contiguousAffine(Sketch& s, const Sketch::Shape& shape) {
  Affine result;
  if (s.chance(0.7)) result.weight = contiguous(s, s.factor(shape)).ref;
  if (s.chance(0.7)) result.bias = s.factor(shape).ref;
  return result;
}

/// Far enough from constant rows, where normalizing has no derivative.
constexpr double kEpsilon = 0.1;

Operation softmax(const std::string& target, const std::vector<Argument>& more) {
  return {target, [=](Sketch& s, Value x) -> Result {
            if (x.dim() < 1) return {};
            std::vector<Argument> arguments{x.ref, s.written(s.axis(x), x.dim())};
            arguments.insert(arguments.end(), more.begin(), more.end());
            return s.call(target, arguments);
          }};
}

/// The last one or two axes of `x`.
Sketch::Shape normalized(Sketch& s, const Value& x) {
  const Sketch::Shape shape = x.shape();
  return {shape.end() - (x.dim() > 1 && s.chance(0.3) ? 2 : 1), shape.end()};
}

List list(const Sketch::Shape& shape) { return {shape.begin(), shape.end()}; }

/// Statistics of a batch norm in evaluation, which are no parameters.
Value statistic(Sketch& s, int64_t channels, bool positive) {
  const at::Tensor drawn =
      Random(static_cast<uint64_t>(s.below(1000))).uniform({channels}, 0.5, 1.5, at::kDouble);
  return s.constant(positive ? drawn : drawn - 1);
}

Operation recurrent(const std::string& name, int64_t gates, int64_t states) {
  return {
      name, [=](Sketch& s, Value x) -> Result {
        x = s.ofRank(x, 3);
        if (x.numel() > 60) return {};
        const int64_t hidden = 2;
        Refs weights;
        for (const auto& shape : std::vector<Sketch::Shape>{{gates * hidden, x.size(2)},
                                                            {gates * hidden, hidden},
                                                            {gates * hidden},
                                                            {gates * hidden}}) {
          weights.values.emplace_back(s.factor(shape).ref.value);
        }
        const Sketch::Shape shape = {1, x.size(0), hidden};
        const Value first = s.factor(shape);
        const Argument state = states == 2
                                   ? Argument(Refs{{first.ref.value, s.factor(shape).ref.value}})
                                   : Argument(first.ref);
        return s
            .calls(name, {x.ref, state, weights, true, 1.0, 0.0, false, false, true}, states + 1)
            .front();
      }};
}

}  // namespace

const std::vector<Operation>& layerOperations() {
  static const std::vector<Operation> all = {
      softmax("aten::softmax.int", {}),
      softmax("aten::log_softmax.int", {}),
      softmax("aten::_softmax", {false}),
      softmax("aten::_log_softmax", {false}),
      {"layer_norm",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const Sketch::Shape shape = normalized(s, x);
         const auto [weight, bias] = affine(s, shape);
         return s.call("aten::layer_norm", {x.ref, list(shape), weight, bias, kEpsilon});
       }},
      {"native_layer_norm",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 2) return {};
         const Sketch::Shape shape = normalized(s, x);
         const auto [weight, bias] = affine(s, shape);
         return s.first("aten::native_layer_norm", {x.ref, list(shape), weight, bias, kEpsilon}, 3);
       }},
      {"rms_norm",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const Sketch::Shape shape = normalized(s, x);
         return s.call("aten::rms_norm", {x.ref, list(shape), affine(s, shape).weight, kEpsilon});
       }},
      {"group_norm",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 3);
         const double groups = x.size(1) % 2 == 0 && s.chance(0.5) ? 2 : 1;
         if (x.numel() / x.size(0) < 2) return {};
         const auto [weight, bias] = affine(s, {x.size(1)});
         return s.call("aten::group_norm", {x.ref, groups, weight, bias, kEpsilon});
       }},
      {"batch_norm",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 2) return {};
         const int64_t channels = x.size(1);
         const auto [weight, bias] = contiguousAffine(s, {channels});
         return s.call("aten::batch_norm",
                       {contiguous(s, x).ref, weight, bias, statistic(s, channels, false).ref,
                        statistic(s, channels, true).ref, false, 0.1, kEpsilon, false});
       }},
      {"batch_norm as exported",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 2) return {};
         const int64_t channels = x.size(1);
         const auto [weight, bias] = contiguousAffine(s, {channels});
         return s
             .calls("aten::_native_batch_norm_legit_no_training",
                    {contiguous(s, x).ref, weight, bias, statistic(s, channels, false).ref,
                     statistic(s, channels, true).ref, 0.1, kEpsilon},
                    3)
             .front();
       }},
      recurrent("aten::lstm.input", 4, 2),
      recurrent("aten::gru.input", 3, 1),
  };
  return all;
}

}  // namespace tc::test
