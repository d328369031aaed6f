#include "core/linearization/fused/plan.h"

#include <algorithm>
#include <limits>

#include "core/kernels/kernels.h"

namespace tc::fused {
namespace {

/// T, about: enough samples to share the reading of W and the writing of its gradient, few enough
/// for the values of narrow layers to stay in the first two caches. The optimum is flat.
constexpr int64_t kTileSamples = 256;
/// From this width on, samples-in-rows copies are made anew in each product: that costs it at most
/// some percent, and keeping them costs as much memory as the values themselves.
constexpr int64_t kWideLayer = 192;
/// Rows of a weight from which its gradient pays for samples in rows.
constexpr int64_t kFewRows = 16;
/// Work of reading or writing one number of D, in multiply-adds.
constexpr double kTouch = 12;

int64_t roundUp(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

int64_t widest(const Chain& chain) {
  return *std::max_element(chain.widths.begin(), chain.widths.end());
}

int64_t tileSize(const Workload& workload) {
  // Every thread gets the same number of tiles.
  const int64_t threads = std::max(1, workload.threads);
  const int64_t share = (workload.batch + threads - 1) / threads;
  const int64_t tilesEach = std::max<int64_t>(1, (share + kTileSamples / 2) / kTileSamples);
  return std::max(workload.lanes, roundUp((share + tilesEach - 1) / tilesEach, workload.lanes));
}

double weights(const Layer& layer) {
  return layer.linear
             ? static_cast<double>(layer.linear->in) * static_cast<double>(layer.linear->out)
             : 0;
}

/// Tiles whose cotangents and values take about twice the memory that sums of the threads' own
/// would, in whole turns of all threads; 0 if that is less than one turn.
int64_t tilesInRound(const Chain& chain, const Workload& workload, int64_t tile, int64_t tiles) {
  int64_t values = 0;
  int64_t parameters = 0;
  for (const Layer& layer : chain.layers) {
    if (!layer.linear) continue;
    values += layer.linear->in + layer.linear->out;
    parameters += layer.linear->in * layer.linear->out;
  }
  const int64_t workers = std::min<int64_t>(workload.threads, tiles);
  if (workers < 2) return 0;
  return 2 * (workers - 1) * parameters / (workers * tile * values) * workers;
}

/// activity[l]: v_l depends on a parameter of a layer ≥ cut
std::vector<bool> activity(const Chain& chain, int64_t cut) {
  std::vector<bool> active{false};
  for (int64_t l = 0; l < chain.size(); ++l) {
    active.push_back(active.back() || (l >= cut && chain.layer(l).linear));
  }
  return active;
}

/// Slots for values that are alive at the same time; v_l lives until the last layer that reads it.
std::vector<int64_t> assignSlots(const Chain& chain) {
  std::vector<int64_t> lastUse(chain.widths.size());
  for (int64_t l = 0; l < chain.size(); ++l) {
    lastUse[static_cast<size_t>(l)] = l;
    if (chain.layer(l).skip) lastUse[static_cast<size_t>(*chain.layer(l).skip)] = l;
  }
  lastUse.back() = chain.size();
  std::vector<int64_t> slots;
  std::vector<int64_t> freeFrom;  // of each slot: the first value that may take it
  for (int64_t l = 0; l <= chain.size(); ++l) {
    const auto found =
        std::find_if(freeFrom.begin(), freeFrom.end(), [&](int64_t from) { return from <= l; });
    slots.push_back(found - freeFrom.begin());
    if (found == freeFrom.end()) freeFrom.push_back(0);
    freeFrom[static_cast<size_t>(slots.back())] = lastUse[static_cast<size_t>(l)] + 2;
  }
  return slots;
}

}  // namespace

int64_t chooseCut(const Chain& chain, const Workload& workload) {
  const auto outputs = static_cast<double>(chain.outputs());
  int64_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int64_t cut = 0; cut < chain.size(); ++cut) {
    const auto active = activity(chain, cut);
    double setUp = 0;
    double product = 0;
    double directBytes = 0;
    bool linearBelow = false;
    for (int64_t l = 0; l < chain.size(); ++l) {
      const Layer& layer = chain.layer(l);
      const auto touched = kTouch * static_cast<double>(chain.width(l + 1));
      if (!layer.linear) continue;
      if (l < cut) {
        product += 2 * weights(layer) + 2 * outputs * touched;
        setUp += outputs * touched;
        directBytes += outputs * static_cast<double>(chain.width(l + 1) * workload.elementSize);
      } else {
        product += (active[static_cast<size_t>(l)] ? 4 : 2) * weights(layer);
      }
      if (linearBelow && cut > 0) setUp += outputs * weights(layer);
      linearBelow = true;
    }
    if (directBytes * static_cast<double>(workload.batch) >
        static_cast<double>(workload.directBytes)) {
      break;
    }
    const double cost = setUp + static_cast<double>(workload.products) * product;
    if (cost < least) {
      least = cost;
      best = cut;
    }
  }
  return best;
}

Plan makePlan(const Chain& chain, const Workload& workload, int64_t cut) {
  Plan plan{};
  plan.chain = chain;
  plan.cut = cut;
  plan.tile = tileSize(workload);
  plan.tiles = (workload.batch + plan.tile - 1) / plan.tile;
  const auto stride = [&](int64_t n) {
    return workload.elementSize == 4 ? rowStride<float>(n) : rowStride<double>(n);
  };
  plan.row = stride(plan.tile);
  plan.active = activity(chain, cut);
  plan.receives.assign(chain.widths.size(), false);
  plan.firstSkip.assign(chain.layers.size(), false);
  for (int64_t l = chain.size() - 1; l >= 0; --l) {
    if (const auto& skip = chain.layer(l).skip) {
      plan.firstSkip[static_cast<size_t>(l)] = !plan.receives[static_cast<size_t>(*skip)];
      plan.receives[static_cast<size_t>(*skip)] = true;
    }
  }

  plan.roundTiles = std::min(tilesInRound(chain, workload, plan.tile, plan.tiles), plan.tiles);
  int64_t size = 0;
  const auto take = [&](int64_t elements) {
    const int64_t offset = size;
    size += elements;
    return offset;
  };
  int64_t rowsSize = 0;
  for (int64_t l = 0; l < chain.size(); ++l) {
    const Layer& layer = chain.layer(l);
    Plan::Kept kept;
    plan.stride.push_back(stride(chain.width(l)));
    plan.byProduct.push_back(
        chain.width(l + 1) < kFewRows ? 0 : chain.width(l) / workload.lanes * workload.lanes);
    if (layer.linear) {
      kept.value = take(chain.width(l) * plan.row);
      const int64_t transposed = plan.tile * plan.stride.back();
      if (plan.byProduct.back() > 0 && chain.width(l + 1) < kWideLayer && !plan.sharesRows()) {
        kept.rows = take(transposed);
      } else {
        rowsSize = std::max(rowsSize, transposed);
      }
    }
    if (layer.linear && l < cut) {
      kept.direct = take(chain.outputs() * chain.width(l + 1) * plan.row);
    } else if (layer.activates()) {
      kept.slope = take(chain.width(l + 1) * plan.row);
    }
    plan.kept.push_back(kept);
  }
  plan.output = take(chain.outputs() * plan.row);
  plan.keptSize = size;

  size = 0;
  const int64_t value = widest(chain) * plan.row;
  for (const int64_t slot : assignSlots(chain)) plan.slot.push_back(slot * value);
  size = (*std::max_element(plan.slot.begin(), plan.slot.end())) + value;
  for (int64_t l = 0; l < chain.size(); ++l) {
    const bool needed = plan.isDirect(l) && chain.layer(l).activates();
    plan.slope.push_back(needed ? take(chain.width(l + 1) * plan.row) : Plan::kNone);
  }
  plan.delta = take(value);
  plan.rows = take(rowsSize);
  plan.cotangent = take(chain.outputs() * plan.row);
  plan.tangent = take(chain.outputs() * plan.row);
  plan.scratchSize = size;

  size = 0;
  plan.samples = stride(plan.roundTiles * plan.tile);
  for (int64_t l = 0; plan.sharesRows() && l < chain.size(); ++l) {
    const auto index = static_cast<size_t>(l);
    plan.shared.emplace_back();
    if (!chain.layer(l).linear) continue;
    plan.shared.back() = {
        take(chain.width(l + 1) * plan.samples),
        take(plan.byProduct[index] > 0 ? plan.roundTiles * plan.tile * plan.stride[index] : 0),
        take((chain.width(l) - plan.byProduct[index]) * plan.samples)};
  }
  plan.sharedSize = size;
  return plan;
}

}  // namespace tc::fused
