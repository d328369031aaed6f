#include "core/profiler/flops.h"

#include <ATen/core/ivalue.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/profiler_kineto.h>
#include <torch/csrc/profiler/util.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace tc::profiling {
namespace {

using torch::autograd::profiler::KinetoEvent;
using Shape = std::vector<int64_t>;

/// The inputs of a call: shapes of tensors, values of everything else as far as they were kept.
class Inputs {
 public:
  Inputs(c10::ArrayRef<Shape> shapes, c10::ArrayRef<c10::IValue> values)
      : shapes_(shapes), values_(values) {}

  const Shape& shape(size_t i) const {
    static const Shape none;
    return i < shapes_.size() ? shapes_[i] : none;
  }
  bool flag(size_t i) const {
    return i < values_.size() && values_[i].isBool() && values_[i].toBool();
  }
  /// Element `axis` of a list of integers; the only element of a list of one.
  std::optional<int64_t> element(size_t i, size_t axis) const {
    if (i >= values_.size() || !values_[i].isList()) return {};
    const auto list = values_[i].toListRef();
    if (list.empty()) return {};
    const c10::IValue& value = list[list.size() == 1 ? 0 : std::min(axis, list.size() - 1)];
    return value.isInt() ? std::optional(value.toInt()) : std::nullopt;
  }
  /// Element of a list of booleans, or `otherwise`.
  bool element(size_t i, size_t at, bool otherwise) const {
    if (i >= values_.size() || !values_[i].isList()) return otherwise;
    const auto list = values_[i].toListRef();
    if (at >= list.size()) return otherwise;
    return list[at].isBool()  ? list[at].toBool()
           : list[at].isInt() ? list[at].toInt() != 0
                              : otherwise;
  }

 private:
  c10::ArrayRef<Shape> shapes_;
  c10::ArrayRef<c10::IValue> values_;
};

int64_t numel(const Shape& shape, size_t from = 0) {
  return shape.size() < from ? 0
                             : std::accumulate(shape.begin() + static_cast<int64_t>(from),
                                               shape.end(), int64_t{1}, std::multiplies<>());
}

uint64_t twice(int64_t multiplyAdds) { return 2 * static_cast<uint64_t>(multiplyAdds); }

/// Of a convolution of `batch` images to `positions` each (of the input, where it is transposed),
/// with weight [out, in / groups, …kernel].
int64_t convolution(int64_t images, int64_t positions, const Shape& weight) {
  return images * positions * numel(weight);
}

/// (input [n, in, …], weight, bias, stride, padding, dilation, transposed, …)
uint64_t forwardConvolution(const Inputs& inputs) {
  const Shape& input = inputs.shape(0);
  const Shape& weight = inputs.shape(1);
  if (weight.size() < 3 || input.size() != weight.size()) return 0;
  if (inputs.flag(6)) return twice(convolution(input[0], numel(input, 2), weight));
  int64_t positions = 1;
  for (size_t axis = 2; axis < weight.size(); ++axis) {
    const auto stride = inputs.element(3, axis - 2);
    const auto padding = inputs.element(4, axis - 2);
    const auto dilation = inputs.element(5, axis - 2);
    if (!stride || !padding || !dilation || *stride < 1) return 0;
    positions *= (input[axis] + 2 * *padding - *dilation * (weight[axis] - 1) - 1) / *stride + 1;
  }
  return twice(convolution(input[0], positions, weight));
}

/// (gradient, input, weight, bias sizes, stride, padding, dilation, transposed, output padding,
/// groups, mask): the gradients of the input and of the weight cost what the convolution did.
uint64_t backwardConvolution(const Inputs& inputs) {
  const Shape& weight = inputs.shape(2);
  const Shape& image = inputs.shape(inputs.flag(7) ? 1 : 0);
  if (weight.size() < 3 || image.size() != weight.size()) return 0;
  const int64_t wanted =
      (inputs.element(10, 0, true) ? 1 : 0) + (inputs.element(10, 1, true) ? 1 : 0);
  return twice(wanted * convolution(image[0], numel(image, 2), weight));
}

/// (…, left [b, m, k], right [b, k, n]) from place `first` on.
template <size_t first>
uint64_t batchedProduct(const Inputs& inputs) {
  const Shape& right = inputs.shape(first + 1);
  return right.empty() ? 0 : twice(numel(inputs.shape(first)) * right.back());
}

/// Scores of queries [.., l, e] and keys [.., s, e], and their products with values [.., s, d],
/// from place `first` on; masked ones, too.
template <size_t first>
uint64_t attention(const Inputs& inputs) {
  const Shape& query = inputs.shape(first);
  const Shape& key = inputs.shape(first + 1);
  const Shape& value = inputs.shape(first + 2);
  if (query.size() < 3 || key.size() != query.size() || value.size() != query.size()) return 0;
  const int64_t scores = numel(query) / std::max<int64_t>(1, query.back()) * key[key.size() - 2];
  return twice(scores * (query.back() + value.back()));
}
/// The gradient, then as above: the gradients of scores, values, queries and keys.
uint64_t attentionBackward(const Inputs& inputs) { return 2 * attention<1>(inputs); }

/// (input [t, n, …], weights of inputs and of states, …)
uint64_t recurrentLayer(const Inputs& inputs) {
  const Shape& input = inputs.shape(0);
  if (input.size() != 3) return 0;
  return twice(input[0] * input[1] * (numel(inputs.shape(1)) + numel(inputs.shape(2))));
}

using Count = uint64_t (*)(const Inputs&);

/// A new operator is a row here.
const std::unordered_map<std::string, Count> kCounts = {
    {"aten::mv", [](const Inputs& inputs) { return twice(numel(inputs.shape(0))); }},
    {"aten::addmv", [](const Inputs& inputs) { return twice(numel(inputs.shape(1))); }},
    {"aten::addmv_", [](const Inputs& inputs) { return twice(numel(inputs.shape(1))); }},
    {"aten::dot", [](const Inputs& inputs) { return twice(numel(inputs.shape(0))); }},
    {"aten::vdot", [](const Inputs& inputs) { return twice(numel(inputs.shape(0))); }},
    {"aten::addmm_", batchedProduct<1>},
    {"aten::addbmm", batchedProduct<1>},
    {"aten::addbmm_", batchedProduct<1>},
    {"aten::baddbmm_", batchedProduct<1>},
    {"aten::_scaled_dot_product_flash_attention_for_cpu", attention<0>},
    {"aten::_scaled_dot_product_flash_attention_for_cpu_backward", attentionBackward},
    {"aten::_scaled_dot_product_flash_attention", attention<0>},
    {"aten::_scaled_dot_product_flash_attention_backward", attentionBackward},
    {"aten::_scaled_dot_product_efficient_attention", attention<0>},
    {"aten::_scaled_dot_product_efficient_attention_backward", attentionBackward},
    {"aten::_scaled_dot_product_cudnn_attention", attention<0>},
    {"aten::_scaled_dot_product_cudnn_attention_backward", attentionBackward},
    {"aten::mkldnn_rnn_layer", recurrentLayer},
    {"aten::mkldnn_rnn_layer_backward",
     [](const Inputs& inputs) { return 2 * recurrentLayer(inputs); }},
    {"aten::convolution", forwardConvolution},
    {"aten::convolution_backward", backwardConvolution},
};

}  // namespace

uint64_t flopsOf(const KinetoEvent& recorded) {
  if (recorded.flops() > 0 || !recorded.hasShapes()) return recorded.flops();
  const auto found = kCounts.find(recorded.name());
  if (found == kCounts.end()) return 0;
  return found->second(Inputs(recorded.shapes(), recorded.concreteInputs()));
}

uint64_t flopsOf(const at::RecordFunction& call) {
  const std::string name = call.name();
  const auto inputs = call.inputs();
  const auto found = kCounts.find(name);
  const auto arguments = inputs.empty() ? std::unordered_map<std::string, c10::IValue>()
                                        : torch::profiler::impl::saveExtraArgs(call);
  const uint64_t flops =
      arguments.empty() ? 0 : torch::profiler::impl::computeFlops(name, arguments);
  if (flops > 0 || found == kCounts.end()) return flops;
  std::vector<Shape> shapes;
  for (const c10::IValue& input : inputs) {
    const bool known = input.isTensor() && input.toTensor().defined();
    shapes.push_back(known ? input.toTensor().sizes().vec() : Shape());
  }
  return found->second(Inputs(shapes, inputs));
}

}  // namespace tc::profiling
