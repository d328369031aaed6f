// y = A B + b for matrices, the sum of its terms computed into one result.

#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>

#include <optional>

#include "core/linearization/autograd/flat_gradient.h"
#include "core/linearization/autograd/maps/linear_map.h"
#include "core/linearization/autograd/maps/matrix.h"

namespace tc {
namespace {

/// Which of the active tensors are A, B and b.
struct Places {
  std::optional<size_t> a, b, bias;
};

at::Tensor emptyMatrix(int64_t rows, int64_t columns, const at::Tensor& like) {
  return at::empty({rows, columns}, like.options());
}

/// y [..., n] = A W ᵀ + b for A [rows, k], the other axes of x together, and W [n, k].
///
///     ẏ = Ȧ Wᵀ + A Ẇᵀ + ḃ,    dA = u W,    dW = uᵀ A,    db = Σ_rows u
class FullyConnected {
 public:
  FullyConnected(const Call& call, const Places& places)
      : places_(places),
        x_(call.arguments[0].toTensor().sizes().vec()),
        shape_(call.results.front().sizes().vec()) {
    const at::Tensor w = call.arguments[1].toTensor();
    outputs_ = w.size(0);
    inputs_ = w.size(1);
    if (places.a) {
      weights_.emplace(matrixOf(w));
      transposedWeights_.emplace(matrixOf(w).transposed());
    }
    if (places.b) {
      rows_.emplace(rowsOf(call.arguments[0].toTensor()));
      if (call.active[*places.b].leaf) parameter_ = w;
    }
  }

  at::Tensor push(const Tangents& tangents) const {
    if (!places_.a && !places_.b) return tangents[*places_.bias].expand(shape_);
    const at::Tensor bias = places_.bias ? tangents[*places_.bias].contiguous() : at::Tensor();
    const at::Tensor& like = tangents.front();
    const at::Tensor result = at::empty(shape_, like.options());
    const Matrix y = rowsOf(result);
    std::optional<RightFactor> tangent;
    if (places_.b) tangent.emplace(matrixOf(tangents[*places_.b]).transposed());
    const auto fromRows = [&] { return Term{rowsMatrix(), *tangent}; };
    const auto fromTangent = [&] {
      return Term{rowsOf(tangents[*places_.a]), *transposedWeights_};
    };
    if (places_.a && places_.b) {
      multiplyInto(y, {fromRows(), fromTangent()}, bias);
    } else if (places_.b) {
      multiplyInto(y, {fromRows()}, bias);
    } else {
      multiplyInto(y, {fromTangent()}, bias);
    }
    return result;
  }

  Tangents pull(const at::Tensor& cotangent) const {
    Tangents parts(size_t{places_.a.has_value()} + size_t{places_.b.has_value()} +
                   size_t{places_.bias.has_value()});
    const Matrix u = rowsOf(cotangent);
    if (places_.a) {
      parts[*places_.a] = at::empty(x_, cotangent.options());
      multiplyInto(rowsOf(parts[*places_.a]), {{u, *weights_}});
    }
    if (places_.b) {
      parts[*places_.b] = parameter_.defined() ? FlatGradient::memoryFor(parameter_)
                                               : emptyMatrix(outputs_, inputs_, cotangent);
      multiplyInto(matrixOf(parts[*places_.b]), {{u.transposed(), *rows_}});
    }
    if (places_.bias) parts[*places_.bias] = at::sum(u.tensor.view({u.rows, outputs_}), {0});
    return parts;
  }

 private:
  /// A
  Matrix rowsMatrix() const { return {rows_->tensor(), rows_->rows(), inputs_, rows_->row(), 1}; }

  Places places_;
  std::vector<int64_t> x_;
  std::vector<int64_t> shape_;
  int64_t outputs_ = 0;
  int64_t inputs_ = 0;
  std::optional<RightFactor> weights_;            ///< W
  std::optional<RightFactor> transposedWeights_;  ///< Wᵀ
  std::optional<RightFactor> rows_;               ///< A
  at::Tensor parameter_;                          ///< W where that is a parameter itself
};

LinearMap fullyConnected(const Call& call) {
  const at::Tensor x = call.arguments[0].toTensor();
  const at::Tensor w = call.arguments[1].toTensor();
  const auto b = call.arguments[2].toOptional<at::Tensor>();
  if (w.dim() != 2 || x.dim() < 2 || (b && b->dim() != 1)) return {};
  Places places;
  for (size_t i = 0; i < call.active.size(); ++i) {
    const size_t argument = call.active[i].argument;
    (argument == 0 ? places.a : argument == 1 ? places.b : places.bias) = i;
  }
  const auto map = std::make_shared<const FullyConnected>(call, places);
  return {[map](const Tangents& tangents) -> Tangents { return {map->push(tangents)}; },
          [map](const Tangents& cotangents) { return map->pull(cotangents.front()); }};
}

const Rows<MapRule> kRows(mapRules(), {{"aten::linear", fullyConnected}});

}  // namespace

}  // namespace tc
