#include "core/linearization/fused/layout.h"

#include <algorithm>

#include "core/kernels/kernels.h"

namespace tc::fused {
namespace {

/// From this width of the outputs on, v_l [T][in] is made anew in each product: transposing it
/// takes 1/out of the time of the products with W_l, and keeping it as much memory as v_l itself.
constexpr int64_t kWideOutputs = 192;

/// Hands out the elements of a memory, one matrix after another.
class Space {
 public:
  int64_t take(int64_t elements) {
    const int64_t offset = size_;
    size_ += elements;
    return offset;
  }
  int64_t size() const { return size_; }

 private:
  int64_t size_ = 0;
};

int64_t widest(const Chain& chain) {
  return *std::max_element(chain.widths.begin(), chain.widths.end());
}

/// For each value the number of the layer that reads it last.
std::vector<int64_t> lastReaders(const Chain& chain) {
  std::vector<int64_t> last(chain.widths.size());
  for (int64_t l = 0; l < chain.size(); ++l) {
    last[static_cast<size_t>(l)] = l;
    if (const auto& skip = chain.layer(l).skip) last[static_cast<size_t>(*skip)] = l;
  }
  last.back() = chain.size();
  return last;
}

/// Slots for values that are alive at the same time. Layer l writes v_{l+1} while it reads v_l and
/// v_{s_l}, so what it reads last may make room for v_{l+2} at the earliest.
std::vector<int64_t> assignSlots(const Chain& chain) {
  const std::vector<int64_t> last = lastReaders(chain);
  std::vector<int64_t> slots;
  std::vector<int64_t> freeFrom;  // of each slot: the first value that may take it
  for (int64_t l = 0; l <= chain.size(); ++l) {
    const auto found =
        std::find_if(freeFrom.begin(), freeFrom.end(), [&](int64_t from) { return from <= l; });
    slots.push_back(found - freeFrom.begin());
    if (found == freeFrom.end()) freeFrom.push_back(0);
    freeFrom[static_cast<size_t>(slots.back())] = last[static_cast<size_t>(l)] + 2;
  }
  return slots;
}

/// Whether layer l keeps v_l [T][in].
bool keepsRows(const Plan& plan, int64_t l) {
  return plan.columnsByProduct(l) > 0 && plan.chain.width(l + 1) < kWideOutputs &&
         !plan.sharesRows();
}

KeptLayout keptLayout(const Plan& plan) {
  const Chain& chain = plan.chain;
  KeptLayout kept;
  Space space;
  for (int64_t l = 0; l < chain.size(); ++l) {
    KeptLayout::OfLayer layer;
    if (chain.layer(l).linear) {
      layer.value = space.take(chain.width(l) * plan.row);
      if (keepsRows(plan, l)) layer.rows = space.take(plan.tile * plan.strideOf(l));
    }
    if (plan.isDirect(l)) {
      layer.direct = space.take(chain.outputs() * chain.width(l + 1) * plan.row);
    } else if (chain.layer(l).activates()) {
      layer.slope = space.take(chain.width(l + 1) * plan.row);
    }
    kept.layers.push_back(layer);
  }
  kept.output = space.take(chain.outputs() * plan.row);
  kept.size = space.size();
  return kept;
}

ScratchLayout scratchLayout(const Plan& plan) {
  const Chain& chain = plan.chain;
  ScratchLayout scratch;
  Space space;
  const int64_t value = widest(chain) * plan.row;
  for (const int64_t slot : assignSlots(chain)) scratch.slot.push_back(slot * value);
  space.take(*std::max_element(scratch.slot.begin(), scratch.slot.end()) + value);
  int64_t rows = 0;
  for (int64_t l = 0; l < chain.size(); ++l) {
    const bool needed = plan.isDirect(l) && chain.layer(l).activates();
    scratch.slope.push_back(needed ? space.take(chain.width(l + 1) * plan.row) : kNone);
    if (chain.layer(l).linear && !keepsRows(plan, l))
      rows = std::max(rows, plan.tile * plan.strideOf(l));
  }
  scratch.delta = space.take(value);
  scratch.rows = space.take(rows);
  scratch.cotangent = space.take(chain.outputs() * plan.row);
  scratch.tangent = space.take(chain.outputs() * plan.row);
  scratch.size = space.size();
  return scratch;
}

SharedLayout sharedLayout(const Plan& plan, int64_t row) {
  SharedLayout shared;
  if (!plan.sharesRows()) return shared;
  shared.row = row;
  Space space;
  for (int64_t l = 0; l < plan.chain.size(); ++l) {
    shared.layers.emplace_back();
    if (!plan.chain.layer(l).linear) continue;
    const int64_t byProduct = plan.columnsByProduct(l);
    SharedLayout::OfLayer& layer = shared.layers.back();
    layer.delta = space.take(plan.chain.width(l + 1) * row);
    layer.rows = space.take(byProduct > 0 ? plan.roundTiles * plan.tile * plan.strideOf(l) : 0);
    layer.values = space.take((plan.chain.width(l) - byProduct) * row);
  }
  shared.size = space.size();
  return shared;
}

}  // namespace

Plan makePlan(const Chain& chain, const Workload& workload, int64_t cut) {
  const auto stride = [&](int64_t n) {
    return workload.elementSize == 4 ? rowStride<float>(n) : rowStride<double>(n);
  };
  Plan plan{makeSchedule(chain, workload, cut), 0, {}, {}, {}, {}};
  plan.row = stride(plan.tile);
  for (int64_t l = 0; l < chain.size(); ++l) plan.stride.push_back(stride(chain.width(l)));
  plan.kept = keptLayout(plan);
  plan.scratch = scratchLayout(plan);
  plan.shared = sharedLayout(plan, stride(plan.roundTiles * plan.tile));
  return plan;
}

DiagonalLayout diagonalLayout(const Plan& plan) {
  DiagonalLayout layout;
  Space space;
  int64_t rows = 0;
  for (int64_t l = 0; l < plan.chain.size(); ++l) {
    const bool linear = plan.chain.layer(l).linear.has_value();
    layout.sums.push_back(linear ? space.take(plan.chain.width(l + 1) * plan.row) : kNone);
    if (linear && plan.columnsByProduct(l) > 0 && !plan.sharesRows())
      rows = std::max(rows, plan.tile * plan.strideOf(l));
  }
  layout.squares = space.take(widest(plan.chain) * plan.row);
  layout.rows = space.take(rows);
  layout.weights = space.take(plan.row);
  layout.size = space.size();
  return layout;
}

}  // namespace tc::fused
