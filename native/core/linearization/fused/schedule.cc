#include "core/linearization/fused/schedule.h"

#include <algorithm>
#include <limits>

namespace tc::fused {
namespace {

/// T, about: enough samples to share the reading of W and the writing of its gradient, few enough
/// for the values of narrow layers to stay in the first two caches. The optimum is flat: 512 are as
/// fast.
constexpr int64_t kTileSamples = 256;
/// Rows of a weight from which its gradient pays for samples in the rows: about as many as the
/// product of matrices has in registers.
constexpr int64_t kRowsOfABlock = 16;
/// Work of reading or writing one number of D, in multiply-adds.
constexpr double kTouch = 12;

int64_t roundUp(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

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

Schedule makeSchedule(const Chain& chain, const Workload& workload, int64_t cut) {
  Schedule schedule{};
  schedule.chain = chain;
  schedule.cut = cut;
  schedule.tile = tileSize(workload);
  schedule.tiles = (workload.batch + schedule.tile - 1) / schedule.tile;
  schedule.roundTiles =
      std::min(tilesInRound(chain, workload, schedule.tile, schedule.tiles), schedule.tiles);
  schedule.active = activity(chain, cut);
  schedule.receives.assign(chain.widths.size(), false);
  schedule.firstSkip.assign(chain.layers.size(), false);
  for (int64_t l = chain.size() - 1; l >= 0; --l) {
    const auto& skip = chain.layer(l).skip;
    if (!skip) continue;
    schedule.firstSkip[static_cast<size_t>(l)] = !schedule.receives[static_cast<size_t>(*skip)];
    schedule.receives[static_cast<size_t>(*skip)] = true;
  }
  for (int64_t l = 0; l < chain.size(); ++l) {
    const int64_t wholeVectors = chain.width(l) / workload.lanes * workload.lanes;
    schedule.byProduct.push_back(chain.width(l + 1) < kRowsOfABlock ? 0 : wholeVectors);
  }
  return schedule;
}

}  // namespace tc::fused
