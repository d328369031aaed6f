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

/// y [..., n] = A W ᵀ + b for A [rows, k], the other axes of x together, and W [n, k].
///
///     ẏ = Ȧ Wᵀ + A Ẇᵀ + ḃ,    dA = u W,    dW = uᵀ A,    db = Σ_rows u
class FullyConnected {
 public:
  FullyConnected(const Call& call, const Places& places)
      : places_(places),
        x_(call.arguments[0].toTensor().sizes().vec()),
        shape_(call.results.front().sizes().vec()) {
    w_ = call.arguments[1].toTensor();
    if (places.b) {
      a_ = rowsOf(call.arguments[0].toTensor());
      parameter_ = call.active[*places.b].leaf;
    }
  }

  at::Tensor push(const Tangents& tangents) const {
    if (!places_.a && !places_.b) return tangents.front().expand(shape_);  // the bias's
    const at::Tensor bias = places_.bias ? tangents[*places_.bias].contiguous() : at::Tensor();
    const at::Tensor& like = tangents.front();
    const at::Tensor result = at::empty(shape_, like.options());
    const Matrix y = rowsOf(result);
    const auto fromWeights = [&] { return Term{a_, matrixOf(tangents[*places_.b]).transposed()}; };
    const auto fromInputs = [&] {
      return Term{rowsOf(tangents[*places_.a]), matrixOf(w_).transposed()};
    };
    if (places_.a && places_.b) {
      multiplyInto(y, {fromWeights(), fromInputs()}, bias);
    } else if (places_.b) {
      multiplyInto(y, {fromWeights()}, bias);
    } else {
      multiplyInto(y, {fromInputs()}, bias);
    }
    return result;
  }

  Tangents pull(const at::Tensor& cotangent) const {
    Tangents parts(size_t{places_.a.has_value()} + size_t{places_.b.has_value()} +
                   size_t{places_.bias.has_value()});
    const Matrix u = rowsOf(cotangent);
    if (places_.a) {
      parts[*places_.a] = at::empty(x_, cotangent.options());
      multiplyInto(rowsOf(parts[*places_.a]), {{u, matrixOf(w_)}});
    }
    if (places_.b) {
      parts[*places_.b] =
          parameter_ ? FlatGradient::memoryFor(w_) : at::empty(w_.sizes(), cotangent.options());
      multiplyInto(matrixOf(parts[*places_.b]), {{u.transposed(), a_}});
    }
    if (places_.bias) parts[*places_.bias] = at::sum(u.tensor.view({u.rows, u.columns}), {0});
    return parts;
  }

 private:
  Places places_;
  std::vector<int64_t> x_;
  std::vector<int64_t> shape_;
  at::Tensor w_;
  bool parameter_ = false;  ///< W is a parameter itself
  Matrix a_{};              ///< A, where W varies
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

/// Of x [..., k], W [n, k] and b [n].
bool fit(const torch::jit::Stack& arguments) {
  const at::Tensor& x = arguments[0].toTensor();
  const at::Tensor& w = arguments[1].toTensor();
  const auto b = arguments[2].toOptional<at::Tensor>();
  if (!computesWith(x) || !computesWith(w) || w.scalar_type() != x.scalar_type()) return false;
  if (x.dim() < 2 || w.dim() != 2 || x.size(-1) != w.size(1)) return false;
  return !b || (computesWith(*b) && b->scalar_type() == x.scalar_type() && b->dim() == 1 &&
                b->size(0) == w.size(0));
}

at::Tensor multiplied(const torch::jit::Stack& arguments) {
  const at::Tensor& x = arguments[0].toTensor();
  const at::Tensor& w = arguments[1].toTensor();
  const auto b = arguments[2].toOptional<at::Tensor>();
  auto shape = x.sizes().vec();
  shape.back() = w.size(0);
  const at::Tensor y = at::empty(shape, x.options());
  multiplyInto(rowsOf(y), {{rowsOf(x), matrixOf(w).transposed()}},
               b ? b->contiguous() : at::Tensor());
  return y;
}

const Rows<MapRule> kRows(mapRules(), {{"aten::linear", fullyConnected}});
const Rows<ResultRule> kResults(resultRules(), {{"aten::linear", {fit, multiplied}}});

}  // namespace

}  // namespace tc
