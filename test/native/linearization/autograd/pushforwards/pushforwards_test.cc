#include "core/linearization/autograd/pushforwards/pushforward.h"

#include <ATen/ATen.h>

#include <functional>
#include <set>
#include <string>

#include "core/program/schema.h"
#include "models.h"
#include "operator_calls.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

using Stack = torch::jit::Stack;

at::Tensor positive(at::IntArrayRef shape) { return numbers(shape).abs().add(0.5); }

at::Tensor integers(std::vector<int64_t> values) { return at::tensor(values, at::kLong); }

c10::List<at::Tensor> list(std::initializer_list<at::Tensor> tensors) {
  return c10::List<at::Tensor>(tensors);
}

using Ints = std::vector<int64_t>;

c10::List<std::optional<at::Tensor>> indices(std::initializer_list<std::optional<at::Tensor>> all) {
  return c10::List<std::optional<at::Tensor>>(all);
}

/// At least one call of every operator that has a rule, and of some that have none.
std::vector<OperatorCall> cases() {
  const auto x = [] { return numbers({4, 6}); };
  const auto image = [] { return numbers({2, 4, 5, 6}); };
  const auto volume = [] { return numbers({2, 2, 4, 3, 4}); };
  const at::Tensor mask = numbers({4, 6}).gt(0);
  return {
      // linear
      {"aten::view", {x(), Ints{2, 12}}},
      {"aten::_unsafe_view", {x(), Ints{24}}},
      {"aten::reshape", {x().t(), Ints{3, 8}}},
      {"aten::reshape_as", {x(), at::zeros({8, 3}, at::kDouble)}},
      {"aten::view_as", {x(), at::zeros({8, 3}, at::kDouble)}},
      {"aten::flatten.using_ints", {image(), 1, -1}},
      {"aten::unflatten.int", {x(), 1, Ints{2, 3}}},
      {"aten::squeeze.dim", {numbers({4, 1, 3}), 1}},
      {"aten::squeeze", {numbers({4, 1, 3})}},
      {"aten::unsqueeze", {x(), 1}},
      {"aten::alias", {x()}},
      {"aten::clone", {x(), none()}},
      {"aten::contiguous", {x().t(), at::MemoryFormat::Contiguous}},
      {"aten::permute", {image(), Ints{0, 2, 3, 1}}},
      {"aten::transpose.int", {x(), 0, 1}},
      {"aten::swapaxes", {x(), 0, 1}},
      {"aten::movedim.int", {image(), 1, 3}},
      {"aten::t", {x()}},
      {"aten::numpy_T", {x()}},
      {"aten::expand", {numbers({1, 6}), Ints{4, 6}, false}},
      {"aten::expand_as", {numbers({1, 6}), at::zeros({4, 6}, at::kDouble)}},
      {"aten::broadcast_to", {numbers({6}), Ints{4, 6}}},
      {"aten::repeat", {x(), Ints{2, 1}}},
      {"aten::tile", {x(), Ints{2, 1}}},
      {"aten::slice.Tensor", {x(), 1, 1, 5, 2}},
      {"aten::narrow", {x(), 1, 2, 3}},
      {"aten::select.int", {x(), 1, 2}},
      {"aten::diagonal", {x(), 0, 0, 1}},
      {"aten::unfold", {x(), 1, 3, 2}},
      {"aten::split.Tensor", {x(), 4, 1}},
      {"aten::split_with_sizes", {x(), Ints{1, 3, 2}, 1}},
      {"aten::chunk", {x(), 3, 1}},
      {"aten::unbind.int", {x(), 1}},
      {"aten::flip", {x(), Ints{1}}},
      {"aten::roll", {x(), Ints{2}, Ints{1}}},
      {"aten::tril", {x(), 0}},
      {"aten::triu", {x(), 1}},
      {"aten::index.Tensor", {x(), indices({std::nullopt, integers({5, 0, 0})})}},
      {"aten::index_select", {x(), 1, integers({5, 0, 0})}},
      {"aten::gather", {x(), 1, integers({5, 0, 0, 1}).view({4, 1}), false}},
      {"aten::to.dtype", {x(), at::kDouble, false, true, none()}},
      {"aten::_to_copy", {x(), at::kDouble, none(), none(), none(), false, none()}},
      {"aten::neg", {x()}},
      {"aten::mul.Scalar", {x(), -1.5}},
      {"aten::div.Scalar", {x(), 4.0}},
      {"aten::div.Tensor", {x(), positive({1, 6})}},
      {"aten::sum", {x(), none()}},
      {"aten::sum.dim_IntList", {x(), Ints{1}, false, none()}},
      {"aten::mean.dim", {image(), Ints{2, 3}, true, none()}},
      {"aten::cumsum", {x(), 1, none()}},
      {"aten::trace", {x()}},
      {"aten::avg_pool1d", {numbers({2, 3, 8}), Ints{2}, Ints{2}, Ints{0}, false, true}},
      {"aten::avg_pool2d", {image(), Ints{2, 2}, Ints{1, 2}, Ints{0, 1}, true, false, none()}},
      {"aten::avg_pool3d",
       {volume(), Ints{2, 2, 2}, Ints{1, 1, 1}, Ints{0, 0, 0}, false, true, none()}},
      {"aten::adaptive_avg_pool1d", {numbers({2, 3, 8}), Ints{3}}},
      {"aten::adaptive_avg_pool2d", {image(), Ints{2, 2}}},
      {"aten::adaptive_avg_pool3d", {volume(), Ints{1, 2, 2}}},
      {"aten::pixel_shuffle", {image(), 2}},
      {"aten::pixel_unshuffle", {numbers({2, 1, 4, 6}), 2}},
      {"aten::upsample_nearest1d", {numbers({2, 3, 4}), Ints{7}, none()}},
      {"aten::upsample_nearest2d", {image(), Ints{7, 9}, none(), none()}},
      {"aten::upsample_nearest3d", {volume(), Ints{5, 5, 5}, none(), none(), none()}},
      {"aten::upsample_linear1d", {numbers({2, 3, 4}), Ints{7}, false, none()}},
      {"aten::upsample_bilinear2d", {image(), Ints{7, 9}, true, none(), none()}},
      {"aten::masked_fill.Scalar", {x(), mask, -7.0}},
      {"aten::constant_pad_nd", {x(), Ints{1, 2}, 3.0}},
      {"aten::pad", {x(), Ints{1, 2}, "constant", 3.0}},
      {"aten::pad", {image(), Ints{1, 2, 0, 1}, "reflect", none()}},
      {"aten::cat", {list({x(), numbers({4, 1}), x()}), 1}},
      {"aten::concat", {list({x(), numbers({2, 6})}), 0}},
      {"aten::stack", {list({x(), x()}), -1}},
      {"aten::where.self", {mask, x(), numbers({6})}},
      {"aten::add.Scalar", {x(), 2.0, 1}},
      {"aten::sub.Scalar", {x(), 2.0, 1}},
      {"aten::dropout", {x(), 0.5, false}},
      {"aten::add.Tensor", {x(), numbers({1, 6}), 1}},
      {"aten::add.Tensor", {numbers({}), x(), -2.5}},
      {"aten::sub.Tensor", {x(), numbers({4, 1}), 3}},
      // products
      {"aten::linear", {x(), numbers({3, 6}), numbers({3})}},
      {"aten::linear", {numbers({2, 4, 6}), numbers({3, 6}), none()}},
      {"aten::linear", {numbers({6, 4}).t(), numbers({3, 6}), numbers({3})}},
      {"aten::linear", {numbers({6}), numbers({3, 6}), numbers({3})}},
      {"aten::addmm", {numbers({3}), x(), numbers({6, 3}), 0.5, 2.0}},
      {"aten::baddbmm", {numbers({2, 1, 3}), numbers({2, 4, 6}), numbers({2, 6, 3}), 0.5, 2.0}},
      {"aten::addbmm", {numbers({4, 3}), numbers({2, 4, 6}), numbers({2, 6, 3}), 1.0, 2.0}},
      {"aten::addmv", {numbers({4}), x(), numbers({6}), 1.0, 2.0}},
      {"aten::addcmul", {x(), numbers({6}), numbers({4, 1}), 0.5}},
      {"aten::addcmul", {x(), numbers({6}), numbers({1}), 0.5}},
      {"aten::mul.Tensor", {x(), numbers({4, 1})}},
      {"aten::mul.Tensor", {numbers({}), x()}},
      {"aten::matmul", {numbers({2, 1, 3, 6}), numbers({4, 6, 5})}},
      {"aten::matmul", {x(), numbers({6})}},
      {"aten::mm", {x(), numbers({6, 3})}},
      {"aten::bmm", {numbers({2, 4, 6}), numbers({2, 6, 3})}},
      {"aten::mv", {x(), numbers({6})}},
      {"aten::dot", {numbers({6}), numbers({6})}},
      {"aten::outer", {numbers({6}), numbers({3})}},
      {"aten::einsum",
       {"bij,bjk,k->bi", list({numbers({2, 3, 4}), numbers({2, 4, 5}), numbers({5})}), none()}},
      {"aten::einsum", {"ij->ji", list({x()}), none()}},
      {"aten::bilinear", {x(), numbers({4, 3}), numbers({2, 6, 3}), numbers({2})}},
      {"aten::conv1d",
       {numbers({2, 3, 7}), numbers({4, 3, 3}), numbers({4}), Ints{2}, Ints{1}, Ints{1}, 1}},
      {"aten::conv2d",
       {image(), numbers({6, 2, 3, 3}), numbers({6}), Ints{1, 2}, Ints{1, 1}, Ints{1, 1}, 2}},
      {"aten::conv2d.padding",
       {image(), numbers({3, 4, 3, 3}), none(), Ints{1, 1}, "same", Ints{1, 1}, 1}},
      {"aten::conv3d",
       {volume(), numbers({3, 2, 2, 2, 2}), numbers({3}), Ints{1, 1, 1}, Ints{0, 0, 0},
        Ints{1, 1, 1}, 1}},
      {"aten::convolution",
       {image(), numbers({3, 4, 2, 2}), numbers({3}), Ints{1, 1}, Ints{0, 0}, Ints{2, 2}, false,
        Ints{0, 0}, 1}},
      {"aten::conv_transpose1d",
       {numbers({2, 3, 5}), numbers({3, 4, 3}), numbers({4}), Ints{2}, Ints{1}, Ints{1}, 1,
        Ints{1}}},
      {"aten::conv_transpose2d.input",
       {image(), numbers({4, 3, 2, 2}), numbers({3}), Ints{2, 2}, Ints{0, 0}, Ints{0, 0}, 1,
        Ints{1, 1}}},
      {"aten::conv_transpose3d.input",
       {volume(), numbers({2, 3, 2, 2, 2}), none(), Ints{1, 1, 1}, Ints{0, 0, 0}, Ints{0, 0, 0}, 1,
        Ints{1, 1, 1}}},
      // element-wise, with a rule or without
      {"aten::relu", {x()}},
      {"aten::sigmoid", {x()}},
      {"aten::tanh", {x()}},
      {"aten::gelu", {x(), "none"}},
      {"aten::silu", {x()}},
      {"aten::hardtanh", {x(), -0.5, 0.5}},
      {"aten::sign", {x()}},
      {"aten::pow.Tensor_Scalar", {x(), 3}},
      {"aten::pow.Tensor_Tensor", {positive({4, 6}), numbers({6})}},
      {"aten::div.Tensor", {numbers({6}), positive({4, 1})}},
      {"aten::maximum", {x(), numbers({6})}},
      {"aten::atan2", {x(), positive({4, 1})}},
      {"aten::rsub.Scalar", {x(), 2.0, 3.0}},
      {"aten::addcdiv", {x(), numbers({6}), positive({4, 1}), 0.5}},
      // normalization
      {"aten::layer_norm",
       {numbers({2, 3, 4}), Ints{3, 4}, numbers({3, 4}), numbers({3, 4}), 1e-5, false}},
      {"aten::layer_norm", {x(), Ints{6}, none(), none(), 1e-5, false}},
      {"aten::group_norm", {image(), 2, numbers({4}), numbers({4}), 1e-5, false}},
      {"aten::softmax.int", {image(), 1, none()}},
      {"aten::_softmax", {x(), 1, false}},
      {"aten::log_softmax.int", {x(), -1, none()}},
      {"aten::_log_softmax", {x(), 0, false}},
      // selection
      {"aten::embedding", {x(), integers({3, 0, 0}), -1, false, false}},
      {"aten::max_pool2d", {image(), Ints{2, 2}, Ints{2, 1}, Ints{1, 0}, Ints{1, 1}, true}},
      {"aten::max.dim", {x(), 1, false}},
      {"aten::min.dim", {image(), 2, true}},
      {"aten::topk", {x(), 2, 1, true, true}},
      // attention
      {"aten::scaled_dot_product_attention",
       {numbers({2, 3, 4, 5}), numbers({2, 3, 6, 5}), numbers({2, 3, 6, 4}), none(), 0.0, false,
        none(), false}},
      {"aten::scaled_dot_product_attention",
       {numbers({2, 4, 5}), numbers({2, 4, 5}), numbers({2, 4, 5}), none(), 0.0, true, 0.7, false}},
      {"aten::scaled_dot_product_attention",
       {numbers({2, 4, 5}), numbers({2, 6, 5}), numbers({2, 6, 5}), numbers({4, 6}), 0.0, false,
        none(), false}},
      {"aten::scaled_dot_product_attention",
       {numbers({4, 2, 4, 5}), numbers({4, 1, 6, 5}), numbers({4, 1, 6, 5}), none(), 0.0, false,
        none(), true}},
      // none at all
      {"aten::amax", {x(), Ints{1}, false}},
      {"aten::linalg_vector_norm", {x(), 2, Ints{1}, false, none()}},
  };
}

std::vector<at::Tensor> tensorsOf(const c10::IValue& value) {
  if (value.isTensor()) return {value.toTensor()};
  return value.isTensorList() ? value.toTensorVector() : std::vector<at::Tensor>();
}

/// What the operator gives, and its floating-point tensors as candidates for being active.
Call callOf(const OperatorCall& each) {
  Call call{findOperator(each.target), each.arguments, {}, {}};
  Stack stack = each.arguments;
  call.op.callBoxed(stack);
  for (const c10::IValue& result : stack) {
    for (const at::Tensor& tensor : tensorsOf(result)) call.results.push_back(tensor);
  }
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (call.op.schema().arguments()[i].name().starts_with("running_")) continue;  // constants
    const auto tensors = tensorsOf(call.arguments[i]);
    for (size_t k = 0; k < tensors.size(); ++k) {
      if (tensors[k].is_floating_point()) call.active.push_back({i, k, tensors[k]});
    }
  }
  return call;
}

}  // namespace

TEST_CASE("the derivative of every operator is that of dual numbers, whichever arguments vary") {
  // Fused attention has no dual numbers; see DifferentiableKernels.
  const bool flash = at::globalContext().userEnabledFlashSDP();
  at::globalContext().setSDPUseFlash(false);
  for (const OperatorCall& each : cases()) {
    CAPTURE(each.target);
    const Call all = callOf(each);
    REQUIRE(!all.active.empty());
    for (size_t subset = 1; subset < size_t{1} << all.active.size(); ++subset) {
      CAPTURE(subset);
      Call call = all;
      call.active.clear();
      Tangents tangents;
      for (size_t i = 0; i < all.active.size(); ++i) {
        if ((subset >> i & 1) == 0) continue;
        call.active.push_back(all.active[i]);
        tangents.push_back(numbers(all.active[i].primal.sizes()));
      }
      Tangents copies;
      for (const at::Tensor& tangent : tangents) copies.push_back(tangent.clone());
      const Pushforward linearized = pushforward(call);
      for (int repeat = 0; repeat < 2; ++repeat) {  // nothing that is kept changes
        const Tangents results = linearized(tangents);
        const Tangents expected = withDuals(call)(tangents);
        REQUIRE(results.size() == expected.size());
        for (size_t i = 0; i < results.size(); ++i) {
          CAPTURE(i);
          const at::Tensor zeros = at::zeros_like(call.results[i], at::kDouble);
          const at::Tensor result = results[i].defined() ? results[i] : zeros;
          CHECK((result.sizes() == call.results[i].sizes()));
          CHECK(difference(result, expected[i].defined() ? expected[i] : zeros) < 1e-13);
        }
      }
      for (size_t i = 0; i < tangents.size(); ++i) CHECK(at::equal(tangents[i], copies[i]));
    }
  }
  at::globalContext().setSDPUseFlash(flash);
}

TEST_CASE("every rule is tried above") {
  std::set<std::string> tried;
  for (const OperatorCall& each : cases()) {
    tried.insert(each.target);
    tried.insert(each.target.substr(0, each.target.find('.')));
  }
  for (const auto& [name, rule] : pushforwardRules().rows()) {
    CAPTURE(name);
    CHECK(tried.contains(name));
  }
}

TEST_CASE("the padding row of an embedding has no derivative") {
  const at::Tensor table = numbers({4, 3});
  const Call call = callOf({"aten::embedding", {table, integers({3, 1, 0}), 1, false, false}});
  const at::Tensor tangent = numbers({4, 3});
  const at::Tensor rows = pushforward(call)({tangent}).front();
  CHECK(at::equal(rows[0], tangent[3]));
  CHECK(at::equal(rows[1], at::zeros({3}, at::kDouble)));
  CHECK(at::equal(rows[2], tangent[0]));
}
