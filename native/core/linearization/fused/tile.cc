#include "core/linearization/fused/tile.h"

#include <algorithm>
#include <utility>

#include "core/profiler/stage.h"
#include "core/runtime/parallel.h"

namespace tc::fused {
namespace {

/// Multiply-adds between two looks at the stop token: some milliseconds of a core.
constexpr int64_t kUninterrupted = int64_t{1} << 27;

}  // namespace

template <typename T>
template <typename Multiply>
void TileProgram<T>::inParts(const Product<T>& product, const StopToken& stop,
                             Multiply&& multiply) const {
  const int64_t row = product.n * product.k;
  if (product.m * row <= kUninterrupted) return multiply(product, 0);
  const int64_t rows = std::max<int64_t>(1, kUninterrupted / row / kRowsAtOnce) * kRowsAtOnce;
  for (int64_t first = 0; first < product.m && !stop.requested(); first += rows) {
    Product<T> part = product;
    part.m = std::min(rows, product.m - first);
    part.a = product.a + first * product.aRow;
    if (product.a2 != nullptr) part.a2 = product.a2 + first * product.aRow;
    if (product.c != nullptr) part.c = product.c + first * product.cRow;
    if (product.bias != nullptr) part.bias = product.bias + first;
    if (product.scale != nullptr) part.scale = product.scale + first * product.cRow;
    multiply(part, first);
  }
}

template <typename T>
void TileProgram<T>::multiply(const Product<T>& product, const StopToken& stop) const {
  inParts(product, stop, [&](const Product<T>& part, int64_t) { kernels_.product(part); });
}

template <typename T>
Product<T> TileProgram<T>::product(const Matrix<const T>& b, const Matrix<T>& c) const {
  Product<T> product;
  product.m = c.rows, product.n = c.columns, product.k = b.rows;
  product.b = b.data, product.bRow = b.row;
  product.c = c.data, product.cRow = c.row;
  return product;
}

template <typename T>
void TileProgram<T>::toColumns(int64_t width, int64_t n, const T* rows, T* columns) const {
  kernels_.transpose(n, width, rows, width, columns, plan_.row);
  for (int64_t i = 0; i < width; ++i) {
    std::fill(columns + i * plan_.row + n, columns + i * plan_.row + padded(n), T(0));
  }
}

template <typename T>
const T* TileProgram<T>::rowsOf(int64_t l, int64_t n, const Prepared& tile) const {
  if (const T* const kept = tile.keptRows(l)) return kept;
  kernels_.transpose(chain_.width(l), n, tile.value(l).data, plan_.row, tile.rows(),
                     plan_.strideOf(l));
  return tile.rows();
}

template <typename T>
void TileProgram<T>::prepare(const T* x, int64_t n, T* kept, T* scratch,
                             const StopToken& stop) const {
  const profiling::Stage stage("torch_curvature::forward_tiles");
  stage.counts(n * analytic_.forward, n * executed_.forward);
  const Preparing tile(plan_, padded(n), kept, scratch);
  const auto value = [&](int64_t l) {
    if (l == chain_.size()) return tile.output();
    return plan_.keeps(l).value != kNone ? tile.value(l) : tile.slot(l);
  };
  toColumns(chain_.width(0), n, x, value(0).data);
  for (int64_t i = 0; i < chain_.width(0); ++i) {
    T* const inputs = value(0)[i];
    std::fill(inputs + n, inputs + tile.columns(), inputs[n - 1]);
  }
  int64_t first = chain_.size();  // the first linear layer
  for (int64_t l = 0; l < chain_.size() && !stop.requested(); ++l) {
    const Layer& layer = chain_.layer(l);
    const Matrix<T> result = value(l + 1);
    if (const auto& linear = layer.linear) {
      first = std::min(first, l);
      if (T* const rows = tile.keptRows(l))
        kernels_.transpose(linear->in, n, value(l).data, plan_.row, rows, plan_.strideOf(l));
      Product<T> z = product(value(l), result);
      z.a = params_ + linear->weight, z.aRow = linear->in;
      z.bias = linear->bias ? params_ + *linear->bias : nullptr;
      multiply(z, stop);
    } else {
      copy<T>(value(l), result);
    }
    if (layer.activates()) {
      kernels_.activations[static_cast<size_t>(layer.activation.row)].apply(
          layer.activation, result.rows, result.columns, result.row, result.data,
          tile.slope(l).data);
    }
    if (layer.skip) add(value(*layer.skip), result);
  }
  if (first < plan_.cut) {
    const profiling::Stage direct("torch_curvature::direct_cotangents");
    direct.counts(0, n * executed_.direct);
    for (int64_t output = 0; output < chain_.outputs(); ++output) {
      makeDirect(first, output, tile, stop);
    }
  }
}

template <typename T>
void TileProgram<T>::reverseSkip(int64_t l, const Matrix<const T>& e,
                                 const Matrix<T>& earlier) const {
  if (plan_.isFirstSkip(l)) {
    copy(e, earlier);
  } else {
    add(e, earlier);
  }
}

template <typename T>
template <typename Memory, typename Place, typename Use>
void TileProgram<T>::reverse(int64_t lowest, const Memory& tile, Place&& place, Use&& use,
                             const StopToken& stop) const {
  bool isDelta = false;  // the slot was passed over: δ_l is in its place already
  for (int64_t l = chain_.size() - 1;; --l) {
    const Layer& layer = chain_.layer(l);
    const Matrix<T> delta = place(l);
    if (!isDelta) {
      const Matrix<T> e = tile.slot(l + 1);
      if (layer.skip && *layer.skip > lowest) reverseSkip(l, e, tile.slot(*layer.skip));
      if (layer.activates()) {
        multiply(tile.slope(l), e, delta);
      } else if (delta.data != e.data) {
        copy<T>(e, delta);
      }
    }
    use(l, delta);
    if (l == lowest || stop.requested()) return;

    isDelta = isScaledProduct(l - 1);
    const Matrix<T> below = isDelta ? place(l - 1) : tile.slot(l);
    if (const auto& linear = layer.linear) {
      Product<T> e = product(delta, below);
      e.a = params_ + linear->weight, e.aRow = 1, e.aColumn = linear->in;
      e.accumulate = plan_.isReceived(l);
      e.scale = isDelta ? tile.slope(l - 1).data : nullptr;
      multiply(e, stop);
    } else if (plan_.isReceived(l)) {
      add(delta, below);
    } else {
      copy<T>(delta, below);
    }
  }
}

template <typename T>
void TileProgram<T>::makeDirect(int64_t lowest, int64_t output, const Preparing& tile,
                                const StopToken& stop) const {
  const Matrix<T> unit = tile.slot(chain_.size());
  fill(unit, T(0));
  std::fill_n(unit[output], unit.columns, T(1));
  reverse(
      lowest, tile,
      [&](int64_t l) { return plan_.isDirect(l) ? tile.direct(l, output) : tile.slot(l + 1); },
      [](int64_t, const Matrix<T>&) {}, stop);
}

template <typename T>
void TileProgram<T>::push(const T* v, int64_t n, const T* kept, T* scratch,
                          const StopToken& stop) const {
  const profiling::Stage stage("torch_curvature::tangent");
  stage.counts(n * analytic_.tangent, n * executed_.tangent);
  const Prepared tile = prepared(n, kept, scratch);
  const Matrix<T> dy = tile.tangent();
  fill(dy, T(0));
  for (int64_t l = 0; l < chain_.size(); ++l) {
    if (stop.requested()) return;
    const Layer& layer = chain_.layer(l);
    const bool direct = plan_.isDirect(l);
    if (!direct && !plan_.isActive(l + 1)) continue;
    const Matrix<T> result = direct ? tile.delta(l) : tile.slot(l + 1);
    if (const auto& linear = layer.linear) {
      Product<T> z = product(tile.value(l), result);
      z.a = v + linear->weight, z.aRow = linear->in;
      z.bias = linear->bias ? v + *linear->bias : nullptr;
      if (direct) {
        const T* const d = tile.direct(l, 0).data;
        if (chain_.outputs() == 1) {
          inParts(z, stop, [&](const Product<T>& part, int64_t begin) {
            kernels_.productDot(part, d + begin * dy.row, dy.data);
          });
        } else {
          multiply(z, stop);
          kernels_.dots(chain_.outputs(), linear->out, dy.columns, dy.row, d, tile.directStride(l),
                        result.data, dy.data);
        }
        continue;
      }
      if (plan_.isActive(l)) {
        z.a2 = params_ + linear->weight;
        z.b2 = tile.slot(l).data;
      }
      z.scale = layer.activates() ? tile.slope(l).data : nullptr;
      multiply(z, stop);
    } else if (layer.activates()) {
      multiply(tile.slope(l), tile.slot(l), result);
    } else {
      copy<T>(tile.slot(l), result);
    }
    if (layer.skip && plan_.isActive(*layer.skip)) add(tile.slot(*layer.skip), result);
  }
  if (plan_.isActive(chain_.size())) add(tile.slot(chain_.size()), dy);
}

template <typename T>
void TileProgram<T>::weightGradient(int64_t l, const Linear& linear, const Samples& samples,
                                    int64_t first, int64_t last, T* gradient, bool overwrites,
                                    const StopToken& stop) const {
  const profiling::Stage stage("torch_curvature::weight_gradients");
  stage.counts(2 * linear.in * (last - first) * samples.n);
  T* const weight = gradient + linear.weight + first * linear.in;
  const T* const delta = samples.delta[first];
  const int64_t row = samples.delta.row;
  const int64_t byProduct = plan_.columnsByProduct(l);
  if (byProduct > 0) {
    Product<T> g;
    g.m = last - first, g.n = byProduct, g.k = samples.n;
    g.a = delta, g.aRow = row;
    g.b = samples.rows, g.bRow = plan_.strideOf(l);
    g.c = weight, g.cRow = linear.in;
    g.accumulate = !overwrites;
    multiply(g, stop);
  }
  const int64_t others = linear.in - byProduct;
  if (others > 0) {
    const Matrix<T> rest{weight + byProduct, last - first, others, linear.in};
    if (overwrites) fill(rest, T(0));
    kernels_.outerSum(rest.rows, others, padded(samples.n), delta, row, samples.values, row,
                      rest.data, rest.row);
  }
}

template <typename T>
void TileProgram<T>::share(int64_t l, int64_t n, const Matrix<const T>& delta,
                           const Matrix<const T>& value, const Target& target) const {
  const SharedLayout::OfLayer& to = plan_.shares(l);
  const auto columns = [&](const Matrix<const T>& from, int64_t place) {
    copy(from, Matrix<T>{target.shared + place + target.first, from.rows, from.columns,
                         plan_.shared.row});
  };
  columns(delta, to.delta);
  const int64_t byProduct = plan_.columnsByProduct(l);
  kernels_.transpose(byProduct, n, value.data, value.row,
                     target.shared + to.rows + target.first * plan_.strideOf(l), plan_.strideOf(l));
  columns({value[byProduct], value.rows - byProduct, value.columns, value.row}, to.values);
}

template <typename T>
void TileProgram<T>::pullRows(int64_t index, int64_t workers, int64_t n, const T* shared,
                              T* gradient, bool overwrites, const StopToken& stop) const {
  for (int64_t l = 0; l < chain_.size() && !stop.requested(); ++l) {
    const auto& linear = chain_.layer(l).linear;
    if (!linear) continue;
    const SharedLayout::OfLayer& from = plan_.shares(l);
    const WorkRange rows(linear->out, index, workers);
    const Matrix<const T> delta{shared + from.delta, linear->out, padded(n), plan_.shared.row};
    weightGradient(l, *linear, {n, delta, shared + from.rows, shared + from.values}, rows.begin,
                   rows.end, gradient, overwrites, stop);
    if (linear->bias) {
      T* const bias = gradient + *linear->bias + rows.begin;
      if (overwrites) std::fill_n(bias, rows.end - rows.begin, T(0));
      kernels_.rowSums(rows.end - rows.begin, delta.columns, delta.row, delta[rows.begin], bias);
    }
  }
}

template <typename T>
void TileProgram<T>::useDelta(int64_t l, const Linear& linear, int64_t n,
                              const Matrix<const T>& delta, const Matrix<const T>& value,
                              const T* rows, const Target& target, bool summed,
                              const StopToken& stop) const {
  if (plan_.sharesRows()) return share(l, n, delta, value, target);
  weightGradient(l, linear, {n, delta, rows, value[plan_.columnsByProduct(l)]}, 0, linear.out,
                 target.gradient, /*overwrites=*/false, stop);
  if (linear.bias && !summed) {
    kernels_.rowSums(delta.rows, delta.columns, delta.row, delta.data,
                     target.gradient + *linear.bias);
  }
}

template <typename T>
template <typename Bias, typename Use>
void TileProgram<T>::eachDelta(const Prepared& tile, Bias&& bias, Use&& use,
                               const StopToken& stop) const {
  const Matrix<const T> u = tile.cotangent();
  int64_t lowest = plan_.cut;  // the first linear layer from the cut on
  while (lowest < chain_.size() && !chain_.layer(lowest).linear) ++lowest;
  if (lowest < chain_.size()) {
    copy(u, tile.slot(chain_.size()));
    reverse(
        lowest, tile, [&](int64_t l) { return tile.slot(l + 1); },
        [&](int64_t l, const Matrix<T>& delta) {
          if (const auto& linear = chain_.layer(l).linear) use(l, *linear, delta, /*summed=*/false);
        },
        stop);
  }
  for (int64_t l = 0; l < plan_.cut && !stop.requested(); ++l) {
    const auto& linear = chain_.layer(l).linear;
    if (!linear) continue;
    const Matrix<T> delta = tile.delta(l);
    T* const sums = bias(*linear);
    kernels_.weighted(chain_.outputs(), delta.rows, delta.columns, delta.row, u.data,
                      tile.direct(l, 0).data, tile.directStride(l), delta.data, sums);
    use(l, *linear, delta, /*summed=*/sums != nullptr);
  }
}

template <typename T>
void TileProgram<T>::pull(int64_t n, const T* kept, T* scratch, const Target& target,
                          const StopToken& stop) const {
  const profiling::Stage stage("torch_curvature::transposed");
  stage.counts(n * analytic_.transposed, n * executed_.transposed);
  const Prepared tile = prepared(n, kept, scratch);
  eachDelta(
      tile,
      [&](const Linear& linear) {
        return linear.bias && !plan_.sharesRows() ? target.gradient + *linear.bias : nullptr;
      },
      [&](int64_t l, const Linear& linear, const Matrix<const T>& delta, bool summed) {
        const T* const rows = usesRows(l) ? rowsOf(l, n, tile) : nullptr;
        useDelta(l, linear, n, delta, tile.value(l), rows, target, summed, stop);
      },
      stop);
}

template <typename T>
void TileProgram<T>::diagonal(const Factors& factors, int64_t n, const T* kept, T* scratch,
                              T* extra, const DiagonalLayout& layout, const Target& target,
                              const StopToken& stop) const {
  const Prepared tile = prepared(n, kept, scratch);
  const auto matrix = [&](int64_t place, int64_t width) {
    return Matrix<T>{extra + place, width, tile.columns(), plan_.row};
  };
  const auto sums = [&](int64_t l) {
    return matrix(layout.sums[static_cast<size_t>(l)], chain_.width(l + 1));
  };
  const auto eachLinear = [&](auto&& body) {
    for (int64_t l = 0; l < chain_.size() && !stop.requested(); ++l)
      if (const auto& linear = chain_.layer(l).linear) body(l, *linear);
  };
  eachLinear([&](int64_t l, const Linear&) { fill(sums(l), T(0)); });
  {
    const profiling::Stage stage("torch_curvature::squared_cotangents");
    stage.counts(factors.count * n * analytic_.transposed,
                 factors.count * n * executed_.transposed);
    const Matrix<T> weights = matrix(layout.weights, 1);
    for (int64_t k = 0; k < factors.count && !stop.requested(); ++k) {
      const T* const given = factors.weights + k * factors.stride;
      if (std::all_of(given, given + n, [](T weight) { return weight == 0; })) continue;
      toColumns(1, n, given, weights.data);
      toColumns(chain_.outputs(), n, factors.vectors + k * factors.stride * chain_.outputs(),
                tile.cotangent().data);
      eachDelta(
          tile, [](const Linear&) -> T* { return nullptr; },
          [&](int64_t l, const Linear&, const Matrix<const T>& delta, bool) {
            kernels_.addSquares(delta.rows, delta.columns, delta.row, delta.data, weights.data,
                                sums(l).data);
          },
          stop);
    }
  }
  eachLinear([&](int64_t l, const Linear& linear) {
    const Matrix<T> squares = matrix(layout.squares, linear.in);
    multiply(tile.value(l), tile.value(l), squares);
    T* const rows = usesRows(l) ? extra + layout.rows : nullptr;
    if (rows != nullptr)
      kernels_.transpose(linear.in, n, squares.data, plan_.row, rows, plan_.strideOf(l));
    useDelta(l, linear, n, sums(l), squares, rows, target, /*summed=*/false, stop);
  });
}

template <typename T>
void TileProgram<T>::pushPull(const T* v, int64_t n, const T* kept, T* scratch,
                              const Target& target, const StopToken& stop) const {
  push(v, n, kept, scratch, stop);
  const Prepared tile = prepared(n, kept, scratch);
  const Matrix<T> u = tile.cotangent();
  copy<T>(tile.tangent(), u);
  for (int64_t o = 0; o < u.rows; ++o) std::fill(u[o] + n, u[o] + u.columns, T(0));
  pull(n, kept, scratch, target, stop);
}

template <typename T>
void TileProgram<T>::jacobian(int64_t n, const T* kept, T* scratch, int64_t parameters, T* out,
                              const StopToken& stop) const {
  const int64_t outputs = chain_.outputs();
  const Prepared tile = prepared(n, kept, scratch);
  const profiling::Stage stage("torch_curvature::jacobian_rows");
  stage.counts(n * outputs * (analytic_.transposed + analytic_.gradients),
               n * outputs * executed_.gradients);
  // Parameters in the order of their offsets: those that no layer reads have zero gradients, those
  // that several layers share have sums.
  auto written = chain_.parameterRanges();
  const bool shared = chain_.sharesParameters();
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
    const T* const rows = rowsOf(l, n, tile);
    for (int64_t t = 0; t < n && !stop.requested(); ++t) {
      const T* const value = rows + t * plan_.strideOf(l);
      for (int64_t o = 0; o < outputs; ++o) {
        T* const gradient = out + (t * outputs + o) * parameters;
        const T* const d = tile.direct(l, o).data + t;
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
