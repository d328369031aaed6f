#include "core/operators/kfac/plan.h"

#include <c10/util/accumulate.h>

#include <algorithm>
#include <string>

#include "core/runtime/error.h"

namespace tc {
namespace {

std::string shown(const Program& program, const std::vector<UncoveredParameter>& uncovered) {
  std::string text;
  constexpr size_t kShown = 4;
  for (size_t i = 0; i < std::min(kShown, uncovered.size()); ++i) {
    text += (i > 0 ? ", " : "") + program.parameters()[uncovered[i].parameter].name + " (" +
            uncovered[i].reason + ")";
  }
  if (uncovered.size() > kShown)
    text += " and " + std::to_string(uncovered.size() - kShown) + " more";
  return text;
}

Block layerBlock(const Program& program, const KroneckerLayer& layer) {
  const Program::Parameter& weight = program.parameters()[layer.weight];
  const LayerUse& use = layer.uses.front();
  Block block;
  block.layer = true;
  block.groups = use.groups;
  block.rows = weight.shape.front() / use.groups;
  block.cols = c10::multiply_integers(weight.shape.begin() + 1, weight.shape.end());
  block.weight = weight.offset;
  if (layer.bias) {
    block.bias = program.parameters()[*layer.bias].offset;
    block.biasIsRow = use.inputFirst;
    (use.inputFirst ? block.rows : block.cols) += 1;
  }
  return block;
}

}  // namespace

Plan planOf(const Program& program, Sharing sharing, Others others) {
  Plan plan{findLayers(program), sharing, others, {}};
  if (others == Others::kRefuse && !plan.layers.uncovered.empty()) {
    throw Error("ERR_UNSUPPORTED_OP",
                "Kronecker factors are of linear, convolution and embedding layers, and these "
                "parameters are used otherwise: " +
                    shown(program, plan.layers.uncovered) +
                    "; { others: 'diagonal' } takes the diagonal for them, { others: 'block' } "
                    "the exact block of each");
  }
  for (const KroneckerLayer& layer : plan.layers.layers)
    plan.blocks.push_back(layerBlock(program, layer));
  const auto other = [&](size_t parameter, bool full) {
    const Program::Parameter& each = program.parameters()[parameter];
    Block block;
    (full ? block.cols : block.groups) = each.length;
    block.weight = each.offset;
    plan.blocks.push_back(block);
  };
  for (const UncoveredParameter& each : plan.layers.uncovered)
    other(each.parameter, others == Others::kBlock);
  for (const size_t parameter : plan.layers.unused) other(parameter, false);
  return plan;
}

}  // namespace tc
