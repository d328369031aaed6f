#include "core/batch_sizes.h"

#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace tc {
namespace {

using Size = ProgramSpec::Size;

Error fixed(const std::string& where, const std::string& reason) {
  return Error(
      "ERR_MODEL_LOAD",
      "the model was exported for one batch size, and it cannot be told how " + where +
          " depends on it (" + reason +
          "); export it with a dynamic batch (torch.export.Dim), or a batch of at least 2");
}

int64_t product(at::IntArrayRef sizes, size_t begin, size_t end) {
  return std::accumulate(sizes.begin() + static_cast<int64_t>(begin),
                         sizes.begin() + static_cast<int64_t>(end), int64_t{1},
                         std::multiplies<>());
}

bool isOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Where the batch is in a value: axis `axis` counts `size(axis) / (batch inner)` times the batch
/// times `inner` elements, as the merged axis of batch and heads in attention does.
struct Place {
  size_t axis;
  int64_t inner;
};

/// An argument of a node, in the order of its operator's schema, and what it becomes.
using Replacement = std::pair<size_t, ProgramSpec::Sizes>;

class BatchFinder {
 public:
  BatchFinder(const Program& program, const std::vector<at::Tensor>& inputs,
              at::ScalarType precision, int64_t input)
      : exported_(inputs.front().size(0)), other_(exported_ + 1), input_(input) {
    const at::Tensor flat = at::zeros({program.parameterCount()}, precision);
    leading_ = flat;
    for (const auto& parameter : program.unflatten(flat)) addShared(parameter);
    for (const at::Tensor& each : inputs) {
      if (each.dim() == 0 || each.size(0) != exported_) {
        throw Error(
            "ERR_MODEL_LOAD",
            "an input of the model has another first axis than the batch of the first input");
      }
      auto sizes = each.sizes().vec();
      sizes[0] = other_;
      values_.push_back(each);
      others_.push_back(at::zeros(sizes, each.options()));
      places_.push_back(Place{0, 1});
    }
    for (const at::Tensor& constant : program.constants())
      addShared(constant.is_floating_point() ? constant.to(precision) : constant);
  }

  /// Runs a node with both batch sizes. Returns the sizes to put in place of one of its arguments.
  std::optional<Replacement> step(Program::Node node) {
    const std::string name = node.op.schema().name();
    const auto lastUses = std::exchange(node.lastUses, {});
    std::optional<Replacement> replacement;
    try {
      Program::call(node, leading_, values_);
      replacement = replace(node, name);
      if (replacement) node.slots[replacement->first] = replacement->second;
      Program::call(node, leading_, others_);
    } catch (const c10::Error& error) {
      const std::string message = error.what_without_backtrace();
      throw fixed(name, message.substr(0, message.find('\n')));
    }
    const auto viewed = std::exchange(viewed_, std::nullopt);
    while (places_.size() < values_.size()) places_.push_back(place(node, name, viewed));
    for (const int64_t value : lastUses) {
      if (value == input_) continue;  // its sizes are needed to the end
      values_[static_cast<size_t>(value)].reset();
      others_[static_cast<size_t>(value)].reset();
    }
    return replacement;
  }

  void checkOutput(int64_t output) const {
    const auto& place = places_[static_cast<size_t>(output)];
    const auto& value = values_[static_cast<size_t>(output)];
    if (!place || place->axis != 0 || value.size(0) != exported_) {
      throw Error("ERR_MODEL_LOAD", "the first axis of the model's output is not the batch");
    }
  }

 private:
  void addShared(const at::Tensor& value) {
    values_.push_back(value);
    others_.push_back(value);
    places_.push_back(std::nullopt);
  }

  Size batches(int64_t factor) const {
    const Size batch{Size::Kind::kAxis, input_, 0, {}};
    if (factor == 1) return batch;
    return {Size::Kind::kMultiply, 0, 0, {Size{Size::Kind::kConstant, factor, 0, {}}, batch}};
  }

  /// The literal sizes with the one at `axis` made `factor` times the batch.
  Replacement at(size_t slot, const std::vector<int64_t>& literal, size_t axis,
                 int64_t factor) const {
    ProgramSpec::Sizes sizes;
    for (const int64_t size : literal) sizes.push_back({Size::Kind::kConstant, size, 0, {}});
    sizes[axis] = batches(factor);
    return {slot, sizes};
  }

  std::optional<Replacement> replace(const Program::Node& node, const std::string& name) {
    const auto& arguments = node.op.schema().arguments();
    for (size_t i = 0; i < arguments.size(); ++i) {
      if (!isOneOf(arguments[i].name(), {"size", "shape", "repeats"})) continue;
      const auto* literal = std::get_if<c10::IValue>(&node.slots[i]);
      if (literal == nullptr || !literal->isIntList()) continue;
      const auto sizes = literal->toIntVector();
      if (isOneOf(name, {"aten::view", "aten::reshape", "aten::_unsafe_view", "aten::view_copy",
                         "aten::_reshape_copy"})) {
        return replaceView(node, name, i, sizes);
      }
      return replaceCount(node, name, i, sizes);
    }
    return std::nullopt;
  }

  std::optional<Replacement> replaceView(const Program::Node& node, const std::string& name,
                                         size_t slot, const std::vector<int64_t>& literal) {
    const auto self = static_cast<size_t>(std::get<ProgramSpec::Ref>(node.slots[0]).value);
    const auto& place = places_[self];
    if (!place) return std::nullopt;
    const at::IntArrayRef from = values_[self].sizes();
    const at::IntArrayRef to = values_.back().sizes();
    // One step along the batch skips `stride` elements, before and after.
    const int64_t stride = place->inner * product(from, place->axis + 1, from.size());
    std::optional<size_t> found;
    for (size_t j = 0; j < to.size(); ++j) {
      const int64_t below = product(to, j + 1, to.size());
      const bool holds = exported_ > 1 ? below <= stride && stride * exported_ <= below * to[j] &&
                                             stride % below == 0 &&
                                             to[j] % (exported_ * (stride / below)) == 0
                                       : below == stride && to[j] == 1;
      if (!holds) continue;
      if (found) throw fixed(name, "two of its axes could be the batch");
      found = j;
    }
    if (!found) throw fixed(name, "no axis of its result keeps the batch together");
    viewed_ = Place{*found, stride / product(to, *found + 1, to.size())};
    if (literal[*found] == -1) return std::nullopt;
    return at(slot, literal, *found, to[*found] / exported_);
  }

  /// Sizes that make a new tensor or repeat an old one.
  std::optional<Replacement> replaceCount(const Program::Node& node, const std::string& name,
                                          size_t slot, const std::vector<int64_t>& literal) const {
    if (name == "aten::expand") {
      const auto self = static_cast<size_t>(std::get<ProgramSpec::Ref>(node.slots[0]).value);
      if (const auto& place = places_[self]) {  // the axis is there: it keeps its size
        const size_t axis = place->axis + literal.size() - values_[self].sizes().size();
        if (literal[axis] == -1) return std::nullopt;
        return at(slot, literal, axis, values_.back().size(static_cast<int64_t>(axis)) / exported_);
      }
    }
    if (exported_ == 1) return std::nullopt;
    std::optional<size_t> found;
    for (size_t j = 0; j < literal.size(); ++j) {
      if (literal[j] != exported_) continue;
      if (found) throw fixed(name, "two of its sizes are the exported batch size");
      found = j;
    }
    if (!found) return std::nullopt;
    return at(slot, literal, *found, 1);
  }

  /// Where the batch is in the next value whose place is not yet known.
  std::optional<Place> place(const Program::Node& node, const std::string& name,
                             const std::optional<Place>& viewed) const {
    const at::Tensor& value = values_[places_.size()];
    const at::Tensor& other = others_[places_.size()];
    if (!value.defined() || value.sizes() == other.sizes()) return std::nullopt;
    if (value.dim() != other.dim()) throw fixed(name, "its result has another number of axes");
    std::optional<size_t> axis;
    for (size_t i = 0; i < value.sizes().size(); ++i) {
      const int64_t size = value.sizes()[i];
      if (size == other.sizes()[i]) continue;
      if (axis || size % exported_ != 0 || size / exported_ * other_ != other.sizes()[i])
        throw fixed(name, "the sizes of its result are not proportional to it");
      axis = i;
    }
    if (viewed && viewed->axis == *axis) return viewed;
    const int64_t size = value.sizes()[*axis];
    if (size == exported_) return Place{*axis, 1};
    // A merged axis comes from an argument that has it.
    for (const auto& slot : node.slots) {
      const auto* ref = std::get_if<ProgramSpec::Ref>(&slot);
      if (ref == nullptr) continue;
      const auto& source = places_[static_cast<size_t>(ref->value)];
      if (source && values_[static_cast<size_t>(ref->value)].sizes()[source->axis] == size)
        return Place{*axis, source->inner};
    }
    throw fixed(name, "it merges the batch with another axis");
  }

  int64_t exported_;
  int64_t other_;
  int64_t input_;  ///< value number of the first input
  at::Tensor leading_;
  std::vector<at::Tensor> values_;  ///< with the exported batch size
  std::vector<at::Tensor> others_;  ///< with the other one
  std::vector<std::optional<Place>> places_;
  std::optional<Place> viewed_;  ///< of the view that was just looked at
};

}  // namespace

std::vector<ProgramSpec::Node> freeBatch(const ProgramSpec& spec,
                                         const std::vector<at::Tensor>& inputs,
                                         at::ScalarType precision) {
  const c10::NoGradGuard noGradients;
  const Program program(spec);
  const auto firstInput = static_cast<int64_t>(spec.parameters.size());
  BatchFinder finder(program, inputs, precision, firstInput);
  std::vector<ProgramSpec::Node> nodes = spec.nodes;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto& resolved = program.nodes()[i];
    const auto replacement = finder.step(resolved);
    if (!replacement) continue;
    const auto& [slot, sizes] = *replacement;
    if (slot < nodes[i].args.size()) {
      nodes[i].args[slot] = sizes;
    } else {
      nodes[i].kwargs[resolved.op.schema().arguments()[slot].name()] = sizes;
    }
  }
  finder.checkOutput(program.output());
  return nodes;
}

}  // namespace tc
