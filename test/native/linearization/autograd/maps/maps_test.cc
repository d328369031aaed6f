#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <array>
#include <functional>
#include <set>
#include <string>

#include "core/kernels/kernels.h"
#include "core/kernels/processor.h"
#include "core/linearization/autograd/maps/linear_map.h"
#include "core/linearization/autograd/maps/linearizer.h"
#include "core/linearization/autograd/maps/matrix.h"
#include "core/linearization/linearization.h"
#include "core/program/schema.h"
#include "counts.h"
#include "models.h"
#include "operator_calls.h"
#include "scoped_threads.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

using Stack = torch::jit::Stack;
using Ints = std::vector<int64_t>;

/// Calls that the maps take: sizes of whole vectors and others, tensors that lie in rows, in
/// columns and with gaps, with and without what is optional.
std::vector<OperatorCall> cases() {
  const auto strided = [](at::IntArrayRef shape) {  // as queries, keys and values of one layer are
    return numbers({shape[0], shape[2], 3, shape[1], shape[3]}).permute({2, 0, 3, 1, 4})[1];
  };
  return {
      {"aten::linear", {numbers({5, 16}), numbers({32, 16}), numbers({32})}},
      {"aten::linear", {numbers({2, 3, 7}), numbers({10, 7}), none()}},
      {"aten::linear", {numbers({16, 50}).t(), numbers({256, 16}), numbers({256})}},
      {"aten::linear", {numbers({40, 512}), numbers({65, 512}), none()}},
      {"aten::linear", {numbers({4, 24}), numbers({24, 9}).t(), numbers({9})}},
      {"aten::matmul", {strided({2, 3, 5, 8}), strided({2, 3, 5, 8}).mT()}},
      {"aten::matmul", {numbers({2, 3, 5, 7}), strided({2, 3, 7, 16})}},
      {"aten::matmul", {numbers({5, 7}), numbers({7, 16})}},
      {"aten::bmm", {numbers({6, 4, 1}), numbers({6, 1, 3})}},
      {"aten::bmm", {numbers({2, 80, 64}), numbers({2, 64, 48})}},
      {"aten::mm", {numbers({9, 4}).t(), numbers({9, 16})}},
      {"aten::gelu", {numbers({4, 6}), "none"}},
      {"aten::gelu", {numbers({6, 4}).t(), "tanh"}},
      {"aten::silu", {numbers({4, 6})}},
      {"aten::mish", {numbers({4, 6})}},
      {"aten::softplus", {numbers({4, 6}), 1.5, 20.0}},
      {"aten::elu", {numbers({4, 6}), 1.5, 1.0, 1.0}},
      {"aten::hardswish", {numbers({4, 6})}},
      {"aten::layer_norm", {numbers({5, 16}), Ints{16}, numbers({16}), numbers({16}), 1e-5, false}},
      {"aten::layer_norm", {numbers({16, 3, 5}).mT(), Ints{3}, none(), none(), 1e-5, false}},
      {"aten::layer_norm",
       {numbers({24, 3, 2}).permute({1, 2, 0}), Ints{2, 24}, numbers({2, 24}), none(), 1e-2,
        false}},
      {"aten::unbind.int", {strided({3, 2, 4, 5}), 0}},
      {"aten::unbind.int", {numbers({2, 3, 4}), -1}},
      {"aten::split.Tensor", {numbers({4, 7}), 3, 1}},
      {"aten::split_with_sizes", {numbers({4, 6}), Ints{1, 3, 2}, -1}},
      {"aten::chunk", {numbers({5, 6}), 3, 0}},
      {"aten::scaled_dot_product_attention",
       {strided({2, 3, 4, 5}), strided({2, 3, 6, 5}), strided({2, 3, 6, 4}), none(), 0.0, false,
        none(), false}},
      {"aten::scaled_dot_product_attention",
       {numbers({2, 16, 8}), numbers({2, 16, 8}), numbers({2, 16, 8}), none(), 0.0, true, 0.7,
        false}},
      {"aten::scaled_dot_product_attention",
       {numbers({2, 4, 5}), numbers({2, 6, 5}), numbers({2, 6, 5}), numbers({4, 6}).gt(-0.5), 0.0,
        false, none(), false}},
  };
}

/// What the operator gives, and its floating-point tensors as candidates for being active.
Call callOf(const OperatorCall& each) {
  Call call{findOperator(each.target), each.arguments, {}, {}};
  Stack stack = each.arguments;
  call.op.callBoxed(stack);
  call.results = stack.front().isTensorList() ? stack.front().toTensorVector()
                                              : std::vector<at::Tensor>{stack.front().toTensor()};
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    const c10::IValue& argument = call.arguments[i];
    if (argument.isTensor() && argument.toTensor().is_floating_point())
      call.active.push_back({i, 0, argument.toTensor()});
  }
  return call;
}

/// Each choice of active tensors that leaves one.
void forEachSubset(const Call& all, const std::function<void(const Call&)>& body) {
  for (size_t subset = 1; subset < size_t{1} << all.active.size(); ++subset) {
    CAPTURE(subset);
    Call call = all;
    call.active.clear();
    for (size_t i = 0; i < all.active.size(); ++i) {
      if ((subset >> i & 1) != 0) call.active.push_back(all.active[i]);
    }
    body(call);
  }
}

Tangents tangentsOf(const Call& call) {
  Tangents tangents;
  for (const Call::Active& each : call.active) tangents.push_back(numbers(each.primal.sizes()));
  return tangents;
}

Tangents cotangentsOf(const Call& call) {
  Tangents cotangents;
  for (const at::Tensor& each : call.results) cotangents.push_back(numbers(each.sizes()));
  return cotangents;
}

/// The same numbers elsewhere: the axes the other way round in memory.
Tangents turned(const Tangents& tensors) {
  Tangents others;
  for (const at::Tensor& each : tensors) {
    Ints order(static_cast<size_t>(each.dim()));
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(order.size() - 1 - i);
    others.push_back(each.permute(order).contiguous().permute(order));
  }
  return others;
}

double inner(const Tangents& a, const Tangents& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] * b[i]).sum().item<double>();
  return sum;
}

void forEachIsa(const std::function<void()>& body) {
  const fused::Isa before = fused::activeIsa();
  for (const auto isa : {fused::Isa::kBaseline, fused::Isa::kAvx2, fused::Isa::kAvx512}) {
    if (fused::forceIsa(isa)) body();
  }
  fused::forceIsa(before);
}

}  // namespace

TEST_CASE("maps push as dual numbers do and pull as their transposes, whichever arguments vary") {
  // Fused attention has no dual numbers; see DifferentiableKernels.
  const bool flash = at::globalContext().userEnabledFlashSDP();
  at::globalContext().setSDPUseFlash(false);
  std::set<std::string> tried;
  forEachIsa([&] {
    for (const OperatorCall& each : cases()) {
      CAPTURE(each.target);
      forEachSubset(callOf(each), [&](const Call& call) {
        const LinearMap map = linearMap(call);
        if (!map) return;
        tried.insert(each.target);
        tried.insert(each.target.substr(0, each.target.find('.')));
        const Tangents tangents = tangentsOf(call);
        const Tangents cotangents = cotangentsOf(call);
        const Tangents results = map.push(tangents);
        const Tangents expected = withDuals(call)(tangents);
        REQUIRE(results.size() == expected.size());
        for (size_t i = 0; i < results.size(); ++i)
          CHECK(difference(results[i], expected[i]) < 1e-13);
        const Tangents pulled = map.pull(cotangents);
        REQUIRE(pulled.size() == call.active.size());
        for (size_t i = 0; i < pulled.size(); ++i)
          CHECK((pulled[i].sizes() == call.active[i].primal.sizes()));
        CHECK(inner(results, cotangents) ==
              doctest::Approx(inner(tangents, pulled)).epsilon(1e-12));
        // Nothing that is kept changes, and where vectors lie does not matter.
        const Tangents again = map.push(turned(tangents));
        for (size_t i = 0; i < results.size(); ++i) CHECK(difference(again[i], results[i]) < 1e-14);
        const Tangents elsewhere = map.pull(turned(cotangents));
        for (size_t i = 0; i < pulled.size(); ++i)
          CHECK(difference(elsewhere[i], pulled[i]) < 1e-14);
      });
    }
  });
  for (const auto& [name, rule] : mapRules().rows()) {
    CAPTURE(name);
    CHECK(tried.contains(name));
  }
  at::globalContext().setSDPUseFlash(flash);
}

TEST_CASE("cotangents of parts that are not defined are zero") {
  const Call call = callOf({"aten::split.Tensor", {numbers({4, 7}), 3, 1}});
  Tangents cotangents = cotangentsOf(call);
  cotangents[1] = at::Tensor();
  const at::Tensor whole = linearMap(call).pull(cotangents).front();
  CHECK(at::equal(whole.slice(1, 0, 3), cotangents[0]));
  CHECK(at::equal(whole.slice(1, 3, 6), at::zeros({4, 3}, at::kDouble)));
  CHECK(at::equal(whole.slice(1, 6, 7), cotangents[2]));
}

TEST_CASE("products of matrices are those of libtorch, for all shapes and threads") {
  SomeOf some(4);
  forEachIsa([&] {
    for (const auto& [m, n, k] : std::vector<std::array<int64_t, 3>>{
             {1, 1, 1}, {5, 16, 3}, {13, 10, 40}, {200, 65, 300}, {150, 256, 2}, {300, 512, 130}}) {
      const at::Tensor a = numbers({m, k});
      const at::Tensor bias = numbers({n});
      for (const at::Tensor& b :
           {numbers({k, n}), numbers({n, k}).t(), numbers({k, 2 * n}).slice(1, 0, 2 * n, 2)}) {
        if (!some.next()) continue;
        const at::Tensor expected = at::addmm(bias, a, b);
        at::Tensor single;
        for (const int threads : {1, 2, 3}) {
          const Threads scope(threads);
          const at::Tensor c = at::empty({m, n}, at::kDouble);
          multiplyInto(matrixOf(c), {{matrixOf(a), matrixOf(b)}}, bias);
          CHECK(difference(c, expected) < 1e-13);
          if (!single.defined()) single = c;
          CHECK(at::equal(c, single));
          const at::Tensor twice = c.clone();
          multiplyInto(matrixOf(twice), {{matrixOf(a), matrixOf(b)}}, {}, true);
          CHECK(difference(twice, expected + a.mm(b)) < 1e-13);
          const Matrix right = matrixOf(b);
          multiplyInto(matrixOf(twice), {{matrixOf(a), right}, {matrixOf(2 * a), right}}, bias);
          CHECK(difference(twice, 3 * a.mm(b) + bias) < 1e-13);
          for (const at::Tensor& layout :
               {at::empty({m, n}, at::kDouble), at::empty({n, m}, at::kDouble).t(),
                at::empty({n, 2 * m}, at::kDouble).t().slice(0, 0, 2 * m, 2)}) {
            multiplyBatches(layout, a, b, false);
            CHECK(difference(layout, a.mm(b)) < 1e-13);
            multiplyBatches(layout, a, b, true);
            CHECK(difference(layout, 2 * a.mm(b)) < 1e-13);
          }
        }
      }
    }
  });
}

TEST_CASE("the graph of a forward pass with maps gives the gradients of libtorch's") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const Point& point = model.point;
    const auto gradients = [&](const Program::Caller& caller) {
      std::vector<at::Tensor> leaves = point.program->unflatten(point.params);
      for (at::Tensor& leaf : leaves) leaf = leaf.detach().requires_grad_();
      const at::Tensor y = point.program->run(leaves, point.inputs, point.constants, {}, caller);
      auto found = torch::autograd::grad({y}, leaves, {randomLike(y.detach(), 3)}, {}, false, true);
      for (size_t i = 0; i < found.size(); ++i)
        found[i] = found[i].defined() ? found[i].reshape({-1})
                                      : at::zeros({leaves[i].numel()}, at::kDouble);
      return at::cat(found);
    };
    const at::Tensor expected = gradients({});
    // With results by libtorch's kernels, and by ours, as on processors where these are faster.
    const bool before = fused::isWideAmd();
    for (const bool wide : {false, true}) {
      CAPTURE(wide);
      fused::forceWideAmd(wide);
      Linearizer linearizer;
      const at::Tensor ours = gradients(
          [&](const Program::Node& node, Stack& stack) { return linearizer.call(node, stack); });
      CHECK(difference(ours, expected) < 1e-12);
    }
    fused::forceWideAmd(before);
  }
}

TEST_CASE("results of products by our kernels are libtorch's") {
  const bool before = fused::isWideAmd();
  fused::forceWideAmd(true);
  const c10::NoGradGuard noGradients;
  int64_t computed = 0;
  for (const OperatorCall& call : cases()) {
    CAPTURE(call.target);
    const auto op = findOperator(call.target);
    const at::Tensor ours = resultByKernels(op, call.arguments);
    if (!ours.defined()) continue;
    ++computed;
    Stack stack = call.arguments;
    op.callBoxed(stack);
    CHECK(difference(ours, stack.front().toTensor()) < 1e-13);
  }
  CHECK(computed >= 11);
  // What does not fit is left to libtorch, which says so.
  const auto linear = findOperator("aten::linear");
  CHECK(!resultByKernels(linear, {numbers({2, 3}), numbers({4, 5}), none()}).defined());
  CHECK(!resultByKernels(linear, {numbers({2, 3}), numbers({4, 3}), numbers({3})}).defined());
  CHECK(!resultByKernels(linear, {numbers({0, 3}), numbers({4, 3}), none()}).defined());
  fused::forceWideAmd(false);
  CHECK(!resultByKernels(linear, {numbers({2, 3}), numbers({4, 3}), none()}).defined());
  fused::forceWideAmd(before);
}

TEST_CASE("tensors of no elements and of other kinds are left to libtorch") {
  CHECK(!computesWith(at::empty({0, 3})));
  CHECK(!computesWith(at::empty({2}, at::kLong)));
  CHECK(!computesWith(at::empty({2}, at::kComplexDouble)));
  CHECK(!computesWith(at::empty({2}, at::kHalf)));
  CHECK(computesWith(at::empty({2, 3}).t()));
}
