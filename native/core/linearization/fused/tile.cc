#include "core/linearization/fused/tile.h"

#include <algorithm>
#include <utility>

#include "core/linearization/fused/parallel.h"
#include "core/profiler/stage.h"

namespace tc::fused {

template <typename T>
void TileProgram<T>::copy(int64_t width, int64_t n, const T* from, T* to) const {
  for (int64_t i = 0; i < width; ++i) {
    std::copy_n(from + i * plan_.row, n, to + i * plan_.row);
  }
}

template <typename T>
void TileProgram<T>::toColumns(int64_t width, int64_t n, const T* rows, T* columns) const {
  kernels_.transpose(n, width, rows, width, columns, plan_.row);
  for (int64_t i = 0; i < width; ++i) {
    std::fill(columns + i * plan_.row + n, columns + i * plan_.row + padded(n), T(0));
  }
}

template <typename T>
const T* TileProgram<T>::rowsOf(int64_t l, int64_t n, const T* kept, T* scratch) const {
  const Plan::Kept& keeps = plan_.keeps(l);
  if (keeps.rows != Plan::kNone) return kept + keeps.rows;
  T* const rows = scratch + plan_.rows;
  kernels_.transpose(chain_.width(l), n, kept + keeps.value, plan_.row, rows,
                     plan_.stride[static_cast<size_t>(l)]);
  return rows;
}

template <typename T>
void TileProgram<T>::prepare(const T* x, int64_t n, T* kept, T* scratch) const {
  const profiling::Stage stage("torch_curvature::forward_tiles");
  stage.counts(n * analytic_.forward, n * executed_.forward);
  const int64_t columns = padded(n);
  const int64_t row = plan_.row;
  const auto value = [&](int64_t l) {
    if (l == chain_.size()) return kept + plan_.output;
    return plan_.keeps(l).value != Plan::kNone ? kept + plan_.keeps(l).value : slot(scratch, l);
  };
  toColumns(chain_.width(0), n, x, value(0));
  for (int64_t i = 0; i < chain_.width(0); ++i) {
    T* const inputs = value(0) + i * row;
    std::fill(inputs + n, inputs + columns, inputs[n - 1]);
  }
  int64_t first = chain_.size();  // the first linear layer
  for (int64_t l = 0; l < chain_.size(); ++l) {
    const Layer& layer = chain_.layer(l);
    T* const result = value(l + 1);
    if (const auto& linear = layer.linear) {
      first = std::min(first, l);
      if (plan_.keeps(l).rows != Plan::kNone) {
        kernels_.transpose(linear->in, n, value(l), row, kept + plan_.keeps(l).rows,
                           plan_.stride[static_cast<size_t>(l)]);
      }
      Product<T> z;
      z.m = linear->out, z.n = columns, z.k = linear->in;
      z.a = params_ + linear->weight, z.aRow = linear->in;
      z.b = value(l), z.bRow = row;
      z.c = result, z.cRow = row;
      z.bias = linear->bias ? params_ + *linear->bias : nullptr;
      kernels_.product(z);
    } else {
      copy(chain_.width(l), columns, value(l), result);
    }
    if (layer.activates()) {
      kernels_.activate(layer.activation, chain_.width(l + 1), columns, row, result,
                        slope(l, kept, scratch));
    }
    if (layer.skip) kernels_.add(chain_.width(l + 1), columns, row, value(*layer.skip), result);
  }
  if (first < plan_.cut) {
    const profiling::Stage direct("torch_curvature::direct_cotangents");
    direct.counts(0, n * executed_.direct);
    for (int64_t output = 0; output < chain_.outputs(); ++output) {
      makeDirect(first, output, n, kept, scratch);
    }
  }
}

template <typename T>
template <typename Place, typename Visit>
void TileProgram<T>::reverse(int64_t lowest, int64_t n, const T* kept, T* scratch, Place place,
                             Visit visit) const {
  const int64_t columns = padded(n);
  const int64_t row = plan_.row;
  T* above = slot(scratch, chain_.size());
  bool done = false;
  for (int64_t l = chain_.size() - 1;; --l) {
    const Layer& layer = chain_.layer(l);
    if (layer.skip && *layer.skip > lowest) {
      T* const e = slot(scratch, *layer.skip);
      if (plan_.firstSkip[static_cast<size_t>(l)]) {
        copy(chain_.width(l + 1), columns, above, e);
      } else {
        kernels_.add(chain_.width(l + 1), columns, row, above, e);
      }
    }
    const T* const delta = visit(l, above, done);
    if (l == lowest) return;

    const bool receives = plan_.receives[static_cast<size_t>(l)];
    done = layer.linear && fusesSlope(l - 1);
    above = done ? place(l - 1) : slot(scratch, l);
    if (const auto& linear = layer.linear) {
      Product<T> e;
      e.m = linear->in, e.n = columns, e.k = linear->out;
      e.a = params_ + linear->weight, e.aRow = 1, e.aColumn = linear->in;
      e.b = delta, e.bRow = row;
      e.c = above, e.cRow = row;
      e.accumulate = receives;
      e.scale = done ? slope(l - 1, kept, scratch) : nullptr;
      kernels_.product(e);
    } else if (receives) {
      kernels_.add(chain_.width(l), columns, row, delta, above);
    } else {
      copy(chain_.width(l), columns, delta, above);
    }
  }
}

template <typename T>
void TileProgram<T>::makeDirect(int64_t first, int64_t output, int64_t n, T* kept,
                                T* scratch) const {
  const int64_t columns = padded(n);
  const int64_t row = plan_.row;
  const auto direct = [&](int64_t l) {
    return kept + plan_.keeps(l).direct + output * chain_.width(l + 1) * row;
  };
  T* const unit = slot(scratch, chain_.size());
  for (int64_t i = 0; i < chain_.outputs(); ++i) {
    std::fill_n(unit + i * row, columns, i == output ? T(1) : T(0));
  }
  reverse(
      first, n, kept, scratch,
      [&](int64_t l) { return plan_.isDirect(l) ? direct(l) : slot(scratch, l + 1); },
      [&](int64_t l, T* e, bool done) -> const T* {
        if (done) return e;
        T* const delta = plan_.isDirect(l) ? direct(l) : e;
        if (chain_.layer(l).activates()) {
          kernels_.multiply(chain_.width(l + 1), columns, row, slope(l, kept, scratch), e, delta);
        } else if (delta != e) {
          copy(chain_.width(l + 1), columns, e, delta);
        }
        return delta;
      });
}

template <typename T>
void TileProgram<T>::push(const T* v, int64_t n, const T* kept, T* scratch) const {
  const profiling::Stage stage("torch_curvature::tangent");
  stage.counts(n * analytic_.tangent, n * executed_.tangent);
  const int64_t columns = padded(n);
  const int64_t row = plan_.row;
  T* const dy = scratch + plan_.tangent;
  for (int64_t o = 0; o < chain_.outputs(); ++o) std::fill_n(dy + o * row, columns, T(0));

  for (int64_t l = 0; l < chain_.size(); ++l) {
    const Layer& layer = chain_.layer(l);
    const bool active = plan_.isActive(l);
    const bool direct = plan_.isDirect(l);
    if (!direct && !plan_.isActive(l + 1)) continue;
    T* const result = direct ? scratch + plan_.delta : slot(scratch, l + 1);
    if (const auto& linear = layer.linear) {
      Product<T> z;
      z.m = linear->out, z.n = columns, z.k = linear->in;
      z.a = v + linear->weight, z.aRow = linear->in;
      z.b = kept + plan_.keeps(l).value, z.bRow = row;
      z.c = result, z.cRow = row;
      z.bias = linear->bias ? v + *linear->bias : nullptr;
      if (direct) {
        const T* const d = kept + plan_.keeps(l).direct;
        if (chain_.outputs() == 1) {
          kernels_.productDot(z, d, dy);
        } else {
          kernels_.product(z);
          kernels_.dots(chain_.outputs(), linear->out, columns, row, d, linear->out * row, result,
                        dy);
        }
        continue;
      }
      if (active) {
        z.a2 = params_ + linear->weight;
        z.b2 = slot(scratch, l);
      }
      z.scale = layer.activates() ? kept + plan_.keeps(l).slope : nullptr;
      kernels_.product(z);
    } else if (layer.activates()) {
      kernels_.multiply(chain_.width(l), columns, row, kept + plan_.keeps(l).slope,
                        slot(scratch, l), result);
    } else {
      copy(chain_.width(l), columns, slot(scratch, l), result);
    }
    if (layer.skip && plan_.isActive(*layer.skip)) {
      kernels_.add(chain_.width(l + 1), columns, row, slot(scratch, *layer.skip), result);
    }
  }
  if (plan_.isActive(chain_.size())) {
    kernels_.add(chain_.outputs(), columns, row, slot(scratch, chain_.size()), dy);
  }
}

template <typename T>
void TileProgram<T>::weightGradient(int64_t l, const Samples& samples, int64_t first, int64_t last,
                                    T* gradient, bool overwrites) const {
  const Linear& linear = *chain_.layer(l).linear;
  const profiling::Stage stage("torch_curvature::weight_gradients");
  stage.counts(2 * linear.in * (last - first) * samples.n);
  T* const weight = gradient + linear.weight + first * linear.in;
  const T* const delta = samples.delta + first * samples.row;
  const int64_t full = plan_.byProduct[static_cast<size_t>(l)];
  if (full > 0) {
    Product<T> g;
    g.m = last - first, g.n = full, g.k = samples.n;
    g.a = delta, g.aRow = samples.row;
    g.b = samples.rows, g.bRow = plan_.stride[static_cast<size_t>(l)];
    g.c = weight, g.cRow = linear.in;
    g.accumulate = !overwrites;
    kernels_.product(g);
  }
  if (full < linear.in) {
    for (int64_t i = 0; overwrites && i < last - first; ++i)
      std::fill_n(weight + i * linear.in + full, linear.in - full, T(0));
    kernels_.outerSum(last - first, linear.in - full, padded(samples.n), delta, samples.row,
                      samples.values, samples.row, weight + full, linear.in);
  }
}

template <typename T>
void TileProgram<T>::share(int64_t l, int64_t n, const T* delta, const T* kept,
                           const Target& target) const {
  const auto index = static_cast<size_t>(l);
  const Linear& linear = *chain_.layer(l).linear;
  const Plan::Shared& to = plan_.shared[index];
  const auto columns = [&](int64_t width, const T* from, T* matrix) {
    for (int64_t i = 0; i < width; ++i) {
      std::copy_n(from + i * plan_.row, padded(n), matrix + i * plan_.samples + target.first);
    }
  };
  columns(linear.out, delta, target.shared + to.delta);
  const int64_t full = plan_.byProduct[index];
  const T* const value = kept + plan_.keeps(l).value;
  kernels_.transpose(full, n, value, plan_.row,
                     target.shared + to.rows + target.first * plan_.stride[index],
                     plan_.stride[index]);
  columns(linear.in - full, value + full * plan_.row, target.shared + to.values);
}

template <typename T>
void TileProgram<T>::pullRows(int64_t index, int64_t workers, int64_t n, const T* shared,
                              T* gradient, bool overwrites) const {
  for (int64_t l = 0; l < chain_.size(); ++l) {
    const auto& linear = chain_.layer(l).linear;
    if (!linear) continue;
    const Plan::Shared& from = plan_.shared[static_cast<size_t>(l)];
    const Share rows(linear->out, index, workers);
    const T* const delta = shared + from.delta;
    weightGradient(l, {n, delta, shared + from.rows, shared + from.values, plan_.samples},
                   rows.begin, rows.end, gradient, overwrites);
    if (linear->bias) {
      T* const bias = gradient + *linear->bias + rows.begin;
      if (overwrites) std::fill_n(bias, rows.end - rows.begin, T(0));
      kernels_.rowSums(rows.end - rows.begin, padded(n), plan_.samples,
                       delta + rows.begin * plan_.samples, bias);
    }
  }
}

template <typename T>
void TileProgram<T>::useDelta(int64_t l, int64_t n, const T* delta, const T* kept, T* scratch,
                              const Target& target) const {
  if (plan_.sharesRows()) {
    share(l, n, delta, kept, target);
    return;
  }
  const int64_t full = plan_.byProduct[static_cast<size_t>(l)];
  const T* const rows = full > 0 ? rowsOf(l, n, kept, scratch) : nullptr;
  const T* const values = kept + plan_.keeps(l).value + full * plan_.row;
  weightGradient(l, {n, delta, rows, values, plan_.row}, 0, chain_.width(l + 1), target.gradient,
                 /*overwrites=*/false);
}

template <typename T>
void TileProgram<T>::pull(int64_t n, const T* kept, T* scratch, const Target& target) const {
  const profiling::Stage stage("torch_curvature::transposed");
  stage.counts(n * analytic_.transposed, n * executed_.transposed);
  const int64_t columns = padded(n);
  const int64_t row = plan_.row;
  const T* const u = scratch + plan_.cotangent;
  int64_t lowest = plan_.cut;  // the first linear layer from the cut on
  while (lowest < chain_.size() && !chain_.layer(lowest).linear) ++lowest;
  if (lowest < chain_.size()) {
    copy(chain_.outputs(), columns, u, slot(scratch, chain_.size()));
    reverse(
        lowest, n, kept, scratch, [&](int64_t l) { return slot(scratch, l + 1); },
        [&](int64_t l, T* e, bool done) -> const T* {
          if (chain_.layer(l).activates() && !done) {
            kernels_.multiply(chain_.width(l + 1), columns, row, kept + plan_.keeps(l).slope, e, e);
          }
          if (const auto& linear = chain_.layer(l).linear) {
            useDelta(l, n, e, kept, scratch, target);
            if (linear->bias && !plan_.sharesRows()) {
              kernels_.rowSums(linear->out, columns, row, e, target.gradient + *linear->bias);
            }
          }
          return e;
        });
  }
  for (int64_t l = 0; l < plan_.cut; ++l) {
    if (!plan_.isDirect(l)) continue;
    const Linear& linear = *chain_.layer(l).linear;
    T* const delta = scratch + plan_.delta;
    const bool sums = linear.bias && !plan_.sharesRows();
    kernels_.weighted(chain_.outputs(), linear.out, columns, row, u, kept + plan_.keeps(l).direct,
                      linear.out * row, delta, sums ? target.gradient + *linear.bias : nullptr);
    useDelta(l, n, delta, kept, scratch, target);
  }
}

template <typename T>
void TileProgram<T>::pushPull(const T* v, int64_t n, const T* kept, T* scratch,
                              const Target& target) const {
  push(v, n, kept, scratch);
  const int64_t row = plan_.row;
  for (int64_t o = 0; o < chain_.outputs(); ++o) {
    T* const u = scratch + plan_.cotangent + o * row;
    std::copy_n(scratch + plan_.tangent + o * row, n, u);
    std::fill(u + n, u + padded(n), T(0));
  }
  pull(n, kept, scratch, target);
}

template <typename T>
void TileProgram<T>::jacobian(int64_t n, const T* kept, T* scratch, int64_t parameters,
                              T* out) const {
  const int64_t outputs = chain_.outputs();
  const profiling::Stage stage("torch_curvature::jacobian_rows");
  stage.counts(n * outputs * (analytic_.transposed + analytic_.gradients),
               n * outputs * executed_.gradients);
  // Parameters in the order of their offsets: those that no layer reads have zero gradients, those
  // that several layers share have sums.
  auto written = chain_.parameterRanges();
  const bool shared = std::adjacent_find(written.begin(), written.end(), [](auto& a, auto& b) {
                        return b.first < a.second;
                      }) != written.end();
  if (shared) {
    std::fill_n(out, n * outputs * parameters, T(0));
  } else {
    written.emplace_back(parameters, parameters);
    for (int64_t row = 0; row < n * outputs; ++row) {
      int64_t begin = 0;
      for (const auto& [first, last] : written) {
        std::fill(out + row * parameters + begin, out + row * parameters + first, T(0));
        begin = last;
      }
    }
  }
  for (int64_t l = 0; l < chain_.size(); ++l) {
    const auto& linear = chain_.layer(l).linear;
    if (!linear) continue;
    const T* const rows = rowsOf(l, n, kept, scratch);
    for (int64_t t = 0; t < n; ++t) {
      const T* const value = rows + t * plan_.stride[static_cast<size_t>(l)];
      for (int64_t o = 0; o < outputs; ++o) {
        T* const gradient = out + (t * outputs + o) * parameters;
        const T* const d = kept + plan_.keeps(l).direct + o * linear->out * plan_.row + t;
        kernels_.outer(linear->out, linear->in, d, plan_.row, value, gradient + linear->weight,
                       shared);
        if (!linear->bias) continue;
        T* const bias = gradient + *linear->bias;
        for (int64_t i = 0; i < linear->out; ++i) {
          bias[i] = shared ? bias[i] + d[i * plan_.row] : d[i * plan_.row];
        }
      }
    }
  }
}

template class TileProgram<float>;
template class TileProgram<double>;

}  // namespace tc::fused
