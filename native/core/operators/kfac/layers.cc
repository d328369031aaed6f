#include "core/operators/kfac/layers.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "core/program/slots.h"

namespace tc {
namespace {

/// A value that is a parameter, or the transpose of one with two axes.
struct View {
  size_t parameter;
  bool transposed;
};

/// A use of a layer as it is found: with the parameters that it explains.
struct Found {
  LayerUse use;
  size_t weight;
  std::optional<size_t> bias;
};

bool isOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string_view nameOf(const Program::Node& node) {
  std::string_view name = node.op.schema().name();
  constexpr std::string_view kNamespace = "aten::";
  if (name.starts_with(kNamespace)) name.remove_prefix(kNamespace.size());
  return name;
}

/// Reads the arguments of a node by name.
class Slots {
 public:
  explicit Slots(const Program::Node& node) : node_(node) {}

  std::optional<size_t> place(const char* name) const {
    const auto index = node_.op.schema().argumentIndexWithName(name);
    return index ? std::optional(static_cast<size_t>(*index)) : std::nullopt;
  }
  /// The number of the value that the argument is; nothing for another kind of argument.
  std::optional<int64_t> value(const char* name) const {
    const auto at = place(name);
    if (!at) return {};
    const auto* ref = std::get_if<ProgramSpec::Ref>(&node_.slots[*at]);
    return ref == nullptr ? std::nullopt : std::optional(ref->value);
  }
  const c10::IValue* constant(const char* name) const {
    const auto at = place(name);
    return at ? std::get_if<c10::IValue>(&node_.slots[*at]) : nullptr;
  }
  std::optional<int64_t> integer(const char* name) const {
    const c10::IValue* found = constant(name);
    return found != nullptr && found->isInt() ? std::optional(found->toInt()) : std::nullopt;
  }
  /// A list of `count` numbers, of which one may stand for all.
  std::optional<std::vector<int64_t>> integers(const char* name, size_t count) const {
    const c10::IValue* found = constant(name);
    if (found == nullptr || !found->isIntList()) return {};
    std::vector<int64_t> list = found->toIntVector();
    if (list.size() == 1) list.resize(count, list.front());
    return list.size() == count ? std::optional(list) : std::nullopt;
  }
  /// Whether a factor of the operator is 1.
  bool isOne(const char* name) const {
    const c10::IValue* found = constant(name);
    if (found == nullptr || found->isNone()) return found != nullptr || !place(name);
    return found->isScalar() && found->toScalar().toDouble() == 1;
  }

 private:
  const Program::Node& node_;
};

class Finder {
 public:
  explicit Finder(const Program& program) : program_(program) {
    const auto parameters = program.parameters().size();
    for (size_t i = 0; i < parameters; ++i) views_[static_cast<int64_t>(i)] = {i, false};
    references_.resize(parameters, 0);
    others_.resize(parameters);
    explained_.resize(parameters, 0);
    countReads();
    int64_t result = static_cast<int64_t>(parameters) + program.inputCount() +
                     static_cast<int64_t>(program.constants().size());
    for (size_t i = 0; i < program.nodes().size(); ++i) {
      visit(i, result);
      result += program.nodes()[i].outputs;
    }
    if (const View* view = viewOf(program.output())) {
      ++references_[view->parameter];
      others_[view->parameter] = "the model's output";
    }
  }

  KroneckerLayers layers() {
    std::map<size_t, std::vector<Found>> byWeight;
    for (const Found& each : found_) byWeight[each.weight].push_back(each);
    KroneckerLayers result;
    std::vector<bool> covered(references_.size(), false);
    std::map<size_t, std::string> reasons;
    for (const auto& [weight, uses] : byWeight) {
      const std::string reason = whyNot(weight, uses);
      if (!reason.empty()) {
        reasons[weight] = reason;
        continue;
      }
      KroneckerLayer layer{weight, commonBias(uses), {}};
      for (const Found& each : uses) layer.uses.push_back(each.use);
      covered[weight] = true;
      if (layer.bias) covered[*layer.bias] = true;
      result.layers.push_back(std::move(layer));
    }
    for (size_t i = 0; i < references_.size(); ++i) {
      if (covered[i]) continue;
      if (references_[i] == 0) {
        result.unused.push_back(i);
        continue;
      }
      const auto reason = reasons.find(i);
      result.uncovered.push_back({i, reason != reasons.end()
                                         ? reason->second
                                         : (others_[i].empty() ? "several layers" : others_[i])});
    }
    return result;
  }

 private:
  const View* viewOf(std::optional<int64_t> value) const {
    const auto found = value ? views_.find(*value) : views_.end();
    return found == views_.end() ? nullptr : &found->second;
  }
  const std::vector<int64_t>& shapeOf(size_t parameter) const {
    return program_.parameters()[parameter].shape;
  }

  void countReads() {
    for (const Program::Node& node : program_.nodes()) {
      for (const Program::Slot& slot : node.slots)
        forEachValue(slot, [&](int64_t value) { ++reads_[value]; });
    }
    ++reads_[program_.output()];
  }

  void visit(size_t index, int64_t result) {
    const Program::Node& node = program_.nodes()[index];
    if (follow(node, result)) return;
    std::optional<Found> layer = recognize(index);
    for (size_t i = 0; i < node.slots.size(); ++i) {
      forEachValue(node.slots[i], [&](int64_t value) {
        const View* view = viewOf(value);
        // Sizes are known whatever the parameter is.
        if (view == nullptr || !isOperand(node.slots[i])) return;
        ++references_[view->parameter];
        const bool input = layer && i == layer->use.input;
        const bool ofLayer =
            layer && (view->parameter == layer->weight || view->parameter == layer->bias);
        if (ofLayer && !input) {
          ++explained_[view->parameter];
        } else {
          others_[view->parameter] = node.op.schema().name();
        }
      });
    }
    if (layer) {
      found_.push_back(*layer);
      results_[result] = found_.size() - 1;
    }
    addBias(index, result);
  }

  static bool isOperand(const Program::Slot& slot) {
    return std::holds_alternative<ProgramSpec::Ref>(slot) ||
           std::holds_alternative<ProgramSpec::Refs>(slot);
  }

  /// Whether the node makes nothing but another view of a parameter.
  bool follow(const Program::Node& node, int64_t result) {
    if (node.slots.empty() || node.outputs != 1) return false;
    const auto* ref = std::get_if<ProgramSpec::Ref>(&node.slots.front());
    const View* view = ref == nullptr ? nullptr : viewOf(ref->value);
    if (view == nullptr) return false;
    const std::string_view name = nameOf(node);
    if (isOneOf(name, {"alias", "clone", "contiguous", "lift_fresh", "to", "_to_copy"})) {
      views_[result] = *view;
      return true;
    }
    const auto axes = static_cast<int64_t>(shapeOf(view->parameter).size());
    if (axes != 2) return false;
    bool swaps = isOneOf(name, {"t", "numpy_T"});
    const Slots slots(node);
    if (name == "transpose") {
      const auto [one, other] = std::pair(slots.integer("dim0"), slots.integer("dim1"));
      swaps = one && other && (*one + 2) % 2 != (*other + 2) % 2;
    }
    if (name == "permute") {
      const auto dims = slots.integers("dims", 2);
      swaps = dims && (dims->at(0) + 2) % 2 == 1 && (dims->at(1) + 2) % 2 == 0;
    }
    if (swaps) views_[result] = {view->parameter, !view->transposed};
    return swaps;
  }

  std::optional<Found> recognize(size_t index) const {
    const std::string_view name = nameOf(program_.nodes()[index]);
    if (name == "linear") return linear(index, "input", "weight", "bias", true);
    if (name == "matmul") return linear(index, "self", "other", nullptr, false);
    if (name == "mm") return linear(index, "self", "mat2", nullptr, false);
    if (name == "addmm") return linear(index, "mat1", "mat2", "self", false);
    if (name == "embedding") return embedding(index);
    if (isOneOf(name, {"conv1d", "conv2d", "convolution", "_convolution"}))
      return convolution(index);
    return {};
  }

  /// z = x Wᵀ + b, or x W + b for `byRows` false.
  std::optional<Found> linear(size_t index, const char* input, const char* weight, const char* bias,
                              bool byRows) const {
    const Slots slots(program_.nodes()[index]);
    const View* matrix = viewOf(slots.value(weight));
    const auto place = slots.place(input);
    if (!place || !slots.value(input)) return {};
    if (matrix == nullptr || shapeOf(matrix->parameter).size() != 2) return {};
    if (!slots.isOne("alpha")) return {};
    Found found{{}, matrix->parameter, {}};
    found.use.node = index;
    found.use.input = *place;
    found.use.inputFirst = matrix->transposed == byRows;
    if (bias != nullptr && slots.isOne("beta"))
      found.bias = biasOf(slots.value(bias), outputsOf(found));
    return found;
  }

  std::optional<Found> embedding(size_t index) const {
    const Slots slots(program_.nodes()[index]);
    const View* matrix = viewOf(slots.value("weight"));
    const auto place = slots.place("indices");
    if (!place || !slots.value("indices")) return {};
    if (matrix == nullptr || matrix->transposed) return {};
    Found found{{}, matrix->parameter, {}};
    found.use.kind = LayerUse::Kind::kEmbedding;
    found.use.node = index;
    found.use.input = *place;
    found.use.inputFirst = true;
    found.use.paddingIndex = slots.integer("padding_idx").value_or(-1);
    return found;
  }

  std::optional<Found> convolution(size_t index) const {
    const Slots slots(program_.nodes()[index]);
    const View* filters = viewOf(slots.value("weight"));
    const auto place = slots.place("input");
    if (!place || !slots.value("input") || filters == nullptr) return {};
    const std::vector<int64_t>& shape = shapeOf(filters->parameter);
    if (shape.size() != 3 && shape.size() != 4) return {};
    const c10::IValue* transposed = slots.constant("transposed");
    if (transposed != nullptr && transposed->isBool() && transposed->toBool()) return {};
    const size_t space = shape.size() - 2;
    const auto stride = slots.integers("stride", space);
    const auto dilation = slots.integers("dilation", space);
    const auto groups = slots.integer("groups");
    Found found{{}, filters->parameter, {}};
    LayerUse& use = found.use;
    use.kind = LayerUse::Kind::kConvolution;
    use.node = index;
    use.input = *place;
    use.kernel.assign(shape.begin() + 2, shape.end());
    if (!stride || !dilation || !groups) return {};
    use.stride = *stride;
    use.dilation = *dilation;
    use.groups = *groups;
    const c10::IValue* padding = slots.constant("padding");
    if (padding == nullptr) return {};
    if (padding->isString()) {
      for (size_t axis = 0; axis < space; ++axis) {
        const bool same = padding->toStringRef() == "same";
        const int64_t all = same ? use.dilation[axis] * (use.kernel[axis] - 1) : 0;
        use.padding.insert(use.padding.end(), {all / 2, all - all / 2});
      }
    } else {
      const auto each = slots.integers("padding", space);
      if (!each) return {};
      for (const int64_t size : *each) use.padding.insert(use.padding.end(), {size, size});
    }
    found.bias = biasOf(slots.value("bias"), shape.front());
    return found;
  }

  int64_t outputsOf(const Found& found) const {
    return shapeOf(found.weight)[found.use.inputFirst ? 1 : 0];
  }

  /// The parameter that a bias is, where it is one with an element for each output.
  std::optional<size_t> biasOf(std::optional<int64_t> value, int64_t outputs) const {
    const View* view = viewOf(value);
    if (view == nullptr || shapeOf(view->parameter) != std::vector<int64_t>{outputs}) return {};
    return view->parameter;
  }

  /// A bias that is added by a node of its own, which alone reads the product.
  void addBias(size_t index, int64_t) {
    const Program::Node& node = program_.nodes()[index];
    if (nameOf(node) != "add") return;
    const Slots slots(node);
    if (!slots.isOne("alpha")) return;
    for (const auto& [product, vector] : {std::pair("self", "other"), std::pair("other", "self")}) {
      const auto value = slots.value(product);
      if (!value) continue;
      const auto result = results_.find(*value);
      if (result == results_.end() || reads_[*value] != 1) continue;
      Found& layer = found_[result->second];
      if (layer.use.kind != LayerUse::Kind::kLinear || layer.bias) continue;
      layer.bias = biasOf(slots.value(vector), outputsOf(layer));
      if (layer.bias) ++explained_[*layer.bias];
      return;
    }
  }

  static std::optional<size_t> soleBias(const std::vector<Found>& uses) {
    const auto& first = uses.front().bias;
    const bool same = std::all_of(uses.begin(), uses.end(),
                                  [&](const Found& each) { return each.bias == first; });
    return same ? first : std::nullopt;
  }
  /// The bias of all of the uses, and of no others.
  std::optional<size_t> commonBias(const std::vector<Found>& uses) const {
    const auto bias = soleBias(uses);
    if (!bias || references_[*bias] != static_cast<int64_t>(uses.size())) return {};
    return explained_[*bias] == references_[*bias] ? bias : std::nullopt;
  }

  /// Why the uses of a weight are not all of one kind; empty if they are.
  std::string whyNot(size_t weight, const std::vector<Found>& uses) const {
    if (explained_[weight] != references_[weight])
      return others_[weight].empty() ? "several layers" : others_[weight];
    const LayerUse& first = uses.front().use;
    for (const Found& each : uses) {
      const bool embeds = each.use.kind == LayerUse::Kind::kEmbedding;
      if (embeds != (first.kind == LayerUse::Kind::kEmbedding))
        return "layers of two kinds (as an embedding and a linear layer that share it)";
      if (each.use.inputFirst != first.inputFirst)
        return "layers of two kinds (as it is and transposed, as in derivatives by the inputs)";
      if (each.use.groups != first.groups) return "layers of two kinds (with other groups)";
    }
    return "";
  }

  const Program& program_;
  std::map<int64_t, View> views_;
  std::map<int64_t, int64_t> reads_;
  std::map<int64_t, size_t> results_;  ///< by value number: the use that makes it
  std::vector<Found> found_;
  // By parameter: how often it is read, how many of these are layers, and what else reads it.
  std::vector<int64_t> references_;
  std::vector<int64_t> explained_;
  std::vector<std::string> others_;
};

}  // namespace

KroneckerLayers findLayers(const Program& program) { return Finder(program).layers(); }

}  // namespace tc
