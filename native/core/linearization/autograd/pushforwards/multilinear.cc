// Products: y = f(a, b, …) + c, linear in each factor and in the term c that some of them add, so
// that ẏ = f(ȧ, b) + f(a, ḃ) + … + ċ.

#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>

#include <algorithm>
#include <optional>

#include "core/linearization/autograd/pushforwards/pushforward.h"

namespace tc {
namespace {

constexpr size_t kNone = ~size_t{0};

/// Which arguments are factors (each a tensor, or one list of them) and which is the term.
struct Product {
  std::vector<size_t> factors;
  size_t term = kNone;
};

Rule product(Product shape) {
  return [shape = std::move(shape)](const Call& call) -> Pushforward {
    const auto isFactor = [&](const Call::Active& each) {
      return std::ranges::find(shape.factors, each.argument) != shape.factors.end();
    };
    std::vector<size_t> factors;  // among the active tensors
    std::optional<size_t> term;
    for (size_t i = 0; i < call.active.size(); ++i) {
      if (isFactor(call.active[i])) {
        factors.push_back(i);
      } else if (call.active[i].argument == shape.term) {
        term = i;
      } else {
        return {};
      }
    }
    if (factors.empty() || !ofOnePrecision(call)) return {};
    Replaced again(call);
    if (shape.term != kNone && call.arguments[shape.term].isTensor()) {
      const bool optional =
          call.op.schema().arguments()[shape.term].type()->kind() == c10::TypeKind::OptionalType;
      again.set(shape.term,
                optional ? c10::IValue() : zeroLike(call.arguments[shape.term].toTensor()));
    }
    return [again, factors, term, active = call.active,
            shape = call.results.front().sizes().vec()](const Tangents& tangents) -> Tangents {
      at::Tensor sum;
      for (const size_t factor : factors) {
        std::vector<Call::Active> places = {active[factor]};
        Tangents values = {tangents[factor]};
        if (term && !sum.defined()) {
          places.push_back(active[*term]);
          values.push_back(tangents[*term]);
        }
        const at::Tensor each = again.call(places, values).front();
        sum = sum.defined() ? sum.add_(each) : each;
      }
      return {sum.expand(shape)};  // to which the term alone may have broadcast the result
    };
  };
}

/// y = x Wᵀ + b for x [..., in], W [out, in], b [out]: the matrix products add to one another in
/// place. The operator takes other shapes of W and b too.
Pushforward fullyConnected(const Call& call) {
  const at::Tensor x = call.arguments[0].toTensor();
  const at::Tensor w = call.arguments[1].toTensor();
  const auto b = call.arguments[2].toOptional<at::Tensor>();
  const bool weights = call.find(1) != nullptr;
  if (w.dim() != 2 || x.dim() < 2 || (weights && !x.is_contiguous())) return {};
  if (w.size(1) == 0) return {};  // rows without elements cannot be counted
  if (b && b->dim() != 1) return {};
  struct {
    std::optional<size_t> x, w, b;
  } at;
  for (size_t i = 0; i < call.active.size(); ++i) {
    const size_t argument = call.active[i].argument;
    (argument == 0 ? at.x : argument == 1 ? at.w : at.b) = i;
  }
  return [at, rows = weights ? x.view({-1, x.size(-1)}) : at::Tensor(), w,
          shape = call.results.front().sizes().vec()](const Tangents& tangents) -> Tangents {
    at::Tensor sum;
    if (at.b && !at.w && !at.x) return {tangents[*at.b].expand(shape)};
    const auto add = [&](const at::Tensor& left, const at::Tensor& right) {
      if (sum.defined()) {
        at::addmm_out(sum, sum, left, right);  // whose operations a profile counts, unlike addmm_'s
      } else {
        sum = at.b ? at::addmm(tangents[*at.b], left, right) : at::mm(left, right);
      }
    };
    if (at.w) add(rows, tangents[*at.w].t());
    if (at.x) add(tangents[*at.x].reshape({-1, w.size(1)}), w.t());
    return {sum.view(shape)};
  };
}

/// y = a ⊙ b
Pushforward elementwiseProduct(const Call& call) {
  const at::Tensor a = call.arguments[0].toTensor();
  const at::Tensor b = call.arguments[1].toTensor();
  if (!ofOnePrecision(call)) return {};
  if (call.active.size() == 2) {
    return [a, b](const Tangents& tangents) -> Tangents {
      return {at::mul(tangents[0], b).addcmul_(a, tangents[1])};
    };
  }
  return [other = call.only(0) ? b : a](const Tangents& tangents) -> Tangents {
    return {at::mul(tangents.front(), other)};
  };
}

const Rows<Rule> kRows(pushforwardRules(), {
                                               {"aten::linear", fullyConnected},
                                               {"aten::addmm", product({{1, 2}, 0})},
                                               {"aten::baddbmm", product({{1, 2}, 0})},
                                               {"aten::addbmm", product({{1, 2}, 0})},
                                               {"aten::addmv", product({{1, 2}, 0})},
                                               {"aten::addcmul", product({{1, 2}, 0})},
                                               {"aten::mul.Tensor", elementwiseProduct},
                                               {"aten::matmul", product({{0, 1}})},
                                               {"aten::mm", product({{0, 1}})},
                                               {"aten::bmm", product({{0, 1}})},
                                               {"aten::mv", product({{0, 1}})},
                                               {"aten::dot", product({{0, 1}})},
                                               {"aten::outer", product({{0, 1}})},
                                               {"aten::einsum", product({{1}})},
                                               {"aten::bilinear", product({{0, 1, 2}, 3})},
                                               {"aten::conv1d", product({{0, 1}, 2})},
                                               {"aten::conv2d", product({{0, 1}, 2})},
                                               {"aten::conv3d", product({{0, 1}, 2})},
                                               {"aten::convolution", product({{0, 1}, 2})},
                                               {"aten::conv_transpose1d", product({{0, 1}, 2})},
                                               {"aten::conv_transpose2d", product({{0, 1}, 2})},
                                               {"aten::conv_transpose3d", product({{0, 1}, 2})},
                                           });

}  // namespace

}  // namespace tc
