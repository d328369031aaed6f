// y = w ⊙ x̂ + b with x̂ = (x − mean) / deviation, row by row.

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <optional>

#include "core/kernels/kernels.h"
#include "core/linearization/autograd/maps/linear_map.h"
#include "core/runtime/parallel.h"

namespace tc {
namespace {

/// Rows that are worth a thread of their own, times their length.
constexpr int64_t kThreadWork = 1 << 16;

/// Which of the active tensors are x, w and b.
struct Places {
  std::optional<size_t> x, w, b;
};

template <typename T>
class LayerNorm {
 public:
  LayerNorm(const Call& call, const Places& places, int64_t length)
      : places_(places), shape_(call.results.front().sizes().vec()) {
    const at::Tensor x = call.arguments[0].toTensor();
    rows_ = x.numel() / length;
    length_ = length;
    const auto [normalized, mean, inverse] =
        at::native_layer_norm(x.reshape({rows_, length}), {length}, std::nullopt, std::nullopt,
                              call.arguments[4].toDouble());
    normalized_ = normalized.contiguous();
    inverse_ = inverse.contiguous();
    if (const auto w = call.arguments[2].toOptional<at::Tensor>()) weight_ = w->contiguous();
  }

  at::Tensor push(const Tangents& tangents) const {
    const auto at = [&](const std::optional<size_t>& place) {
      return place ? tangents[*place].contiguous() : at::Tensor();
    };
    const at::Tensor t = at(places_.x);
    const at::Tensor dw = at(places_.w);
    const at::Tensor db = at(places_.b);
    const at::Tensor result = at::empty(shape_, normalized_.options());
    T* const out = result.mutable_data_ptr<T>();
    onThreads([&](int64_t, int64_t begin, const fused::NormalizedRows<T>& rows) {
      const T* const from = data(t);
      fused::kernels<T>().pushNormalized(rows, from == nullptr ? nullptr : from + begin * length_,
                                         data(dw), data(db), out + begin * length_);
    });
    return result;
  }

  Tangents pull(const at::Tensor& cotangent) const {
    const at::Tensor u = cotangent.contiguous();
    const at::Tensor dx = places_.x ? at::empty(shape_, u.options()) : at::Tensor();
    const auto sums = [&](bool wanted) {
      return wanted ? at::zeros({workers(), length_}, u.options()) : at::Tensor();
    };
    const at::Tensor dw = sums(places_.w.has_value());
    const at::Tensor db = sums(places_.b.has_value());
    const T* const from = u.const_data_ptr<T>();
    onThreads([&](int64_t worker, int64_t begin, const fused::NormalizedRows<T>& rows) {
      const auto row = [&](const at::Tensor& of, int64_t i) {
        return of.defined() ? of.mutable_data_ptr<T>() + i * length_ : nullptr;
      };
      fused::kernels<T>().pullNormalized(rows, from + begin * length_, row(dx, begin),
                                         row(dw, worker), row(db, worker));
    });
    Tangents parts(size_t{dx.defined()} + size_t{dw.defined()} + size_t{db.defined()});
    const auto total = [](const at::Tensor& of) {
      return of.size(0) == 1 ? of.view({-1}) : at::sum(of, {0});
    };
    if (places_.x) parts[*places_.x] = dx;
    if (places_.w) parts[*places_.w] = total(dw).view(parameters_);
    if (places_.b) parts[*places_.b] = total(db).view(parameters_);
    return parts;
  }

  void shapeOfParameters(std::vector<int64_t> shape) { parameters_ = std::move(shape); }

 private:
  static const T* data(const at::Tensor& tensor) {
    return tensor.defined() ? tensor.const_data_ptr<T>() : nullptr;
  }

  int64_t workers() const {
    const int64_t worthwhile = rows_ * length_ / kThreadWork;
    return std::clamp<int64_t>(worthwhile, 1, std::min<int64_t>(at::get_num_threads(), rows_));
  }

  /// body(worker, first row, its rows)
  template <typename Body>
  void onThreads(Body&& body) const {
    const int64_t count = workers();
    forkJoin(count, [&](int64_t worker) {
      const WorkRange own(rows_, worker, count);
      body(worker, own.begin,
           fused::NormalizedRows<T>{own.end - own.begin, length_,
                                    data(normalized_) + own.begin * length_,
                                    data(inverse_) + own.begin, data(weight_)});
    });
  }

  Places places_;
  std::vector<int64_t> shape_;
  std::vector<int64_t> parameters_;
  int64_t rows_ = 0;
  int64_t length_ = 0;
  at::Tensor normalized_;  ///< x̂, [rows, length]
  at::Tensor inverse_;     ///< 1 / deviation, [rows]
  at::Tensor weight_;      ///< w, may be undefined
};

template <typename T>
LinearMap layerNormOf(const Call& call, const Places& places, int64_t length) {
  if (length % fused::kernels<T>().lanes != 0) return {};
  const auto map = std::make_shared<LayerNorm<T>>(call, places, length);
  map->shapeOfParameters(call.arguments[1].toIntVector());
  return {[map](const Tangents& tangents) -> Tangents { return {map->push(tangents)}; },
          [map](const Tangents& cotangents) { return map->pull(cotangents.front()); }};
}

LinearMap layerNorm(const Call& call) {
  Places places;
  for (size_t i = 0; i < call.active.size(); ++i) {
    const size_t argument = call.active[i].argument;
    (argument == 0 ? places.x : argument == 2 ? places.w : places.b) = i;
  }
  int64_t length = 1;
  for (const int64_t size : call.arguments[1].toIntVector()) length *= size;
  return call.results.front().scalar_type() == at::kFloat
             ? layerNormOf<float>(call, places, length)
             : layerNormOf<double>(call, places, length);
}

const Rows<MapRule> kRows(mapRules(), {{"aten::layer_norm", layerNorm}});

}  // namespace

}  // namespace tc
