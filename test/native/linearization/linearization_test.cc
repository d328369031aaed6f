#include <ATen/record_function.h>

#include "code_of.h"
#include "core/linearization/autograd/autograd.h"
#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/kept_storage.h"
#include "core/linearization/chunked.h"
#include "core/linearization/engine.h"
#include "core/program/program.h"
#include "core/runtime/error.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

const StopToken kNever;

ChunkOptions autogradIn(int64_t chunkSize, int64_t memoryBudget = 0) {
  return {Engine::kAutograd, chunkSize, memoryBudget, 8};
}

/// While it exists, requests a stop once this thread has called some operators of libtorch's.
class StopAfter {
 public:
  StopAfter(int64_t operators, const StopToken& token) {
    left = operators;
    requested = &token;
    handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(
        [](const at::RecordFunction&) -> std::unique_ptr<at::ObserverContext> {
          if (left-- == 0) requested->request();
          return nullptr;
        }));
  }
  ~StopAfter() { at::removeCallback(handle_); }
  StopAfter(const StopAfter&) = delete;
  StopAfter& operator=(const StopAfter&) = delete;

 private:
  static thread_local int64_t left;
  static thread_local const StopToken* requested;
  at::CallbackHandle handle_;
};
thread_local int64_t StopAfter::left = 0;
thread_local const StopToken* StopAfter::requested = nullptr;

/// ‖x W‖, whose norm has no derivative in forward mode.
Model withoutForwardMode() {
  Builder b;
  const ProgramSpec::Ref weight = b.parameter({2, 3});
  const ProgramSpec::Ref y = b.call("aten::matmul", {b.input(), weight});
  const ProgramSpec::Ref norms = b.call("aten::norm.ScalarOpt_dim", {y, 2.0, std::vector{1.0}});
  return {"without forward mode",
          {b.build(norms),
           randomLike(at::zeros({6}, at::kDouble), 1),
           {randomLike(at::zeros({4, 2}, at::kDouble), 2)},
           {}},
          {},
          {}};
}

}  // namespace

TEST_CASE("a linearization applies J and its transpose") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const at::Tensor jacobian = jacobianByRows(model.point);
    const auto linearization = linearizeAutograd(model.point, kNever);
    const at::Tensor y = runModel(model.point, model.point.params);
    CHECK(difference(linearization->output(), y) < 1e-14);
    for (uint64_t seed = 0; seed < 3; ++seed) {  // again and again from the same graph
      const at::Tensor v = randomLike(model.point.params, seed);
      const at::Tensor u = randomLike(y, seed + 10);
      const at::Tensor jv = linearization->jvp(v, kNever);
      const at::Tensor ju = linearization->vjp(u, kNever);
      CHECK((jv.sizes() == y.sizes()));
      CHECK(difference(jv.reshape(-1), jacobian.mv(v)) < 1e-12);
      CHECK(difference(ju, jacobian.t().mv(u.reshape(-1))) < 1e-12);
      CHECK(difference(linearization->matvec(v, kNever), jacobian.t().mv(jacobian.mv(v))) < 1e-12);
      const double left = (jv * u).sum().item<double>();
      CHECK(left == doctest::Approx(v.dot(ju).item<double>()).epsilon(1e-12));
    }
  }
}

TEST_CASE("J agrees with finite differences of the program") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const at::Tensor v = randomLike(model.point.params, 4);
    const double h = 1e-6;
    const at::Tensor slope = (runModel(model.point, model.point.params + v * h) -
                              runModel(model.point, model.point.params - v * h)) /
                             (2 * h);
    CHECK(difference(linearizeAutograd(model.point, kNever)->jvp(v, kNever), slope) < 1e-7);
  }
}

TEST_CASE("chunks, kept or made again, change nothing") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const at::Tensor v = randomLike(model.point.params, 1);
    ChunkedLinearization whole(model.point, autogradIn(0), kNever);
    const at::Tensor u = randomLike(whole.output(), 2);
    CHECK(whole.size() == 1);
    for (const int64_t budget : {0, 1}) {
      for (const int64_t chunkSize : {1, 3, 4}) {
        ChunkedLinearization chunked(model.point, autogradIn(chunkSize, budget), kNever);
        CHECK(chunked.kept() == (budget == 0 ? chunked.size() : 0));
        CHECK(difference(chunked.output(), whole.output()) < 1e-13);
        CHECK(difference(chunked.jvp(v, kNever), whole.jvp(v, kNever)) < 1e-13);
        CHECK(difference(chunked.vjp(u, kNever), whole.vjp(u, kNever)) < 1e-13);
        CHECK(difference(chunked.matvec(v, kNever), whole.matvec(v, kNever)) < 1e-13);
      }
    }
  }
}

TEST_CASE("the memory budget decides how many chunks are kept") {
  const Model model = models().front();
  const int64_t one = linearizeAutograd(
                          [&] {
                            Point part = model.point;
                            part.inputs = rows(part, 0, 2);
                            return part;
                          }(),
                          kNever)
                          ->bytes();
  CHECK(one > 0);
  ChunkedLinearization chunked(model.point, autogradIn(2, 2 * one), kNever);
  CHECK(chunked.size() == 4);
  CHECK(chunked.kept() >= 2);
  CHECK(chunked.kept() < 4);
}

TEST_CASE("rows at once follow from the budget") {
  Builder b;
  const Point point{b.build(b.linear(b.input(), 3, 2)),
                    at::zeros({8}, at::kDouble),
                    {at::zeros({1000, 3}, at::kDouble)},
                    {}};
  const auto rowsFor = [&](const ChunkOptions& options) {
    return chunkRows(point, options, [](int64_t rows) { return 100 * rows; }, kNever);
  };
  CHECK(rowsFor(autogradIn(0, 1'000'000)) == 1000);
  CHECK(rowsFor(autogradIn(0, 100'000)) == 125);
  CHECK(rowsFor(autogradIn(0, 1)) == 1);
  CHECK(rowsFor(autogradIn(300, 1)) == 300);
}

TEST_CASE("a linearization frees its memory") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    std::vector<at::Tensor> existing = model.point.inputs;
    existing.push_back(model.point.params);
    const KeptStorage kept(at::kCPU, existing);
    auto linearization = linearizeAutograd(model.point, kNever);
    linearization->matvec(randomLike(model.point.params, 0), kNever);
    CHECK(kept.bytes() > 0);
    linearization.reset();
    CHECK(kept.bytes() == 0);
  }
}

TEST_CASE("an output that no parameter reaches has a zero Jacobian") {
  Builder b;
  b.parameter({4});
  const Point point{b.build(b.call("aten::tanh", {b.input()})),
                    at::ones({4}, at::kDouble),
                    {at::ones({3, 2}, at::kDouble)},
                    {}};
  const auto linearization = linearizeAutograd(point, kNever);
  CHECK(linearization->jvp(at::ones({4}, at::kDouble), kNever).abs().max().item<double>() == 0);
  CHECK(linearization->vjp(at::ones({3, 2}, at::kDouble), kNever).abs().max().item<double>() == 0);
}

TEST_CASE("products are tensors of their own even where the program hands a parameter through") {
  Builder b;
  const Point point{b.build(b.call("aten::unsqueeze", {b.parameter({4}), 0.0})),
                    at::ones({4}, at::kDouble),
                    {at::ones({1, 2}, at::kDouble)},
                    {}};
  const at::Tensor v = at::ones({4}, at::kDouble);
  linearizeAutograd(point, kNever)->jvp(v, kNever).zero_();
  CHECK(v.sum().item<double>() == 4);
}

TEST_CASE("an empty batch gives zero products") {
  Model model = models().front();
  model.point.inputs = rows(model.point, 0, 0);
  ChunkedLinearization empty(model.point, autogradIn(0), kNever);
  CHECK((empty.output().sizes() == at::IntArrayRef({0, 2})));
  CHECK(empty.matvec(model.point.params, kNever).abs().sum().item<double>() == 0);
}

TEST_CASE("complex numbers may occur on the way") {
  Builder b;
  const ProgramSpec::Ref z = b.call("aten::view_as_complex", {b.parameter({3, 2})});
  const ProgramSpec::Ref w = b.call("aten::sin", {b.call("aten::mul.Tensor", {z, z})});
  const Point point{b.build(b.call("aten::abs", {w})),
                    randomLike(at::zeros({6}, at::kDouble), 1),
                    {at::zeros({3, 1}, at::kDouble)},
                    {}};
  const auto linearization = linearizeAutograd(point, kNever);
  const at::Tensor jacobian = jacobianByRows(point);
  const at::Tensor v = randomLike(point.params, 2);
  CHECK(difference(linearization->jvp(v, kNever), jacobian.mv(v)) < 1e-13);
  CHECK(difference(linearization->matvec(v, kNever), jacobian.t().mv(jacobian.mv(v))) < 1e-13);
}

TEST_CASE("float32 is linearized in float32") {
  Model model = models().front();
  model.point.params = model.point.params.to(at::kFloat);
  model.point.inputs[0] = model.point.inputs[0].to(at::kFloat);
  const at::Tensor v = randomLike(model.point.params, 1);
  const at::Tensor product = linearizeAutograd(model.point, kNever)->matvec(v, kNever);
  CHECK((product.scalar_type() == at::kFloat));
  const at::Tensor jacobian = jacobianByRows(model.point);
  CHECK(difference(product, jacobian.t().mv(jacobian.mv(v))) < 1e-5);
}

TEST_CASE("every engine gives the same products, or says that it cannot") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const at::Tensor v = randomLike(model.point.params, 1);
    const at::Tensor expected = linearizeAutograd(model.point, kNever)->matvec(v, kNever);
    CHECK(difference(linearize(model.point, Engine::kAuto, 8, kNever)->matvec(v, kNever),
                     expected) < 1e-12);
    const bool recurrent = model.name == "lstm";
    if (recurrent) {
      CHECK(codeOf([&] { linearize(model.point, Engine::kFused, 8, kNever); }) ==
            "ERR_UNSUPPORTED_OP");
    }
  }
  CHECK((findEngine("fused") == Engine::kFused));
  CHECK(codeOf([] { findEngine("fast"); }) == "ERR_INVALID_ARGUMENT");
}

TEST_CASE("kernels that can be differentiated are asked for while they are needed") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const auto flash = [] { return at::globalContext().userEnabledFlashSDP(); };
    const auto mkldnn = [] { return at::globalContext().userEnabledMkldnn(); };
    const bool flashBefore = flash();
    const bool mkldnnBefore = mkldnn();
    {
      const DifferentiableKernels outer(*model.point.program);
      {
        const DifferentiableKernels inner(*model.point.program);
        CHECK(flash() == (flashBefore && model.name != "attention"));
      }
      CHECK(flash() == (flashBefore && model.name != "attention"));
      CHECK(mkldnn() == (mkldnnBefore && model.name != "lstm"));
    }
    CHECK(flash() == flashBefore);
    CHECK(mkldnn() == mkldnnBefore);
  }
}

TEST_CASE("an operator without derivatives is named") {
  const auto linearize = [](const std::string& name,
                            const std::function<ProgramSpec::Ref(Builder&)>& call) {
    Builder b;
    const Point point{b.build(call(b)),
                      randomLike(at::zeros({16}, at::kDouble), 1),
                      {randomLike(at::zeros({4, 3}, at::kDouble), 2)},
                      {}};
    try {
      ChunkedLinearization(point, autogradIn(0), kNever);
      FAIL("no error");
    } catch (const Error& error) {
      CAPTURE(error.what());
      CHECK(error.code().name() == "ERR_UNSUPPORTED_OP");
      CHECK(std::string(error.what()).find(name) != std::string::npos);
    }
  };
  linearize("igamma", [](Builder& b) {
    const auto y = b.call("aten::exp", {b.linear(b.input(), 3, 4)});
    return b.call("aten::special_gammainc", {y, y});
  });
}

TEST_CASE("a stop ends work between chunks") {
  const StopToken stop;
  const Model model = models().front();
  ChunkedLinearization chunked(model.point, autogradIn(2), stop);
  stop.request();
  CHECK(codeOf([&] { chunked.matvec(model.point.params, stop); }) == "ABORTED");
  CHECK(codeOf([&] { ChunkedLinearization(model.point, autogradIn(2), stop); }) == "ABORTED");
}

TEST_CASE("an output without a batch axis is refused") {
  Builder b;
  const auto total = b.call("aten::sum", {b.linear(b.input(), 3, 2)});
  const Point point{
      b.build(total), at::ones({8}, at::kDouble), {at::ones({5, 3}, at::kDouble)}, {}};
  CHECK(codeOf([&] { ChunkedLinearization(point, autogradIn(0), kNever); }) ==
        "ERR_SHAPE_MISMATCH");
}

TEST_CASE("a product that was stopped anywhere is right when it is taken again") {
  std::vector<Model> all = models();
  all.push_back(withoutForwardMode());
  for (const Model& model : all) {
    CAPTURE(model.name);
    const at::Tensor v = randomLike(model.point.params, 3);
    const at::Tensor expected = linearizeAutograd(model.point, kNever)->matvec(v, kNever);
    int64_t stopped = 0;
    for (int64_t operators = 0;; ++operators) {
      const auto linearization = linearizeAutograd(model.point, kNever);
      const StopToken token;
      const std::string code = codeOf([&] {
        const StopAfter after(operators, token);
        linearization->matvec(v, token);
      });
      CHECK((code.empty() || code == "ABORTED"));
      CHECK(difference(linearization->matvec(v, kNever), expected) < 1e-13);
      if (!token.requested()) break;
      stopped += code.empty() ? 0 : 1;
    }
    CHECK(stopped > 0);
  }
}

TEST_CASE("indices of rows that a trial has not are no fault of the batch") {
  Builder b;
  const ProgramSpec::Ref weight = b.parameter({3, 2});
  const ProgramSpec::Ref h = b.call("aten::tanh", {b.call("aten::matmul", {b.input(), weight})});
  const ProgramSpec::Ref neighbors = b.constant(at::arange(20, at::kLong).flip(0));
  const ProgramSpec::Ref y =
      b.call("aten::add.Tensor", {h, b.call("aten::index_select", {h, 0.0, neighbors})});
  const Point graph{b.build(y),
                    randomLike(at::zeros({6}, at::kDouble), 1),
                    {randomLike(at::zeros({20, 3}, at::kDouble), 2)},
                    {at::arange(20, at::kLong).flip(0)}};
  const at::Tensor v = randomLike(graph.params, 3);
  const at::Tensor expected = linearizeAutograd(graph, kNever)->matvec(v, kNever);
  CHECK(difference(ChunkedLinearization(graph, autogradIn(0), kNever).matvec(v, kNever), expected) <
        1e-13);
  CHECK(codeOf([&] { ChunkedLinearization(graph, autogradIn(5), kNever).matvec(v, kNever); }) ==
        "ERR_UNSUPPORTED_OP");
}

TEST_CASE("numbers that a trial makes and the model does not take are no fault of the batch") {
  Builder b;
  const ProgramSpec::Ref table = b.parameter({3, 2});
  const ProgramSpec::Ref places = b.call("aten::sub.Scalar", {b.input(), 3.0});
  const ProgramSpec::Ref y =
      b.call("aten::tanh", {b.call("aten::index_select", {table, 0.0, places})});
  const Point alike{
      b.build(y), randomLike(at::zeros({6}, at::kDouble), 1), {at::full({20}, 4, at::kLong)}, {}};
  const at::Tensor v = randomLike(alike.params, 3);
  const at::Tensor expected = linearizeAutograd(alike, kNever)->matvec(v, kNever);
  for (const int64_t chunk : {0, 5}) {
    CHECK(difference(ChunkedLinearization(alike, autogradIn(chunk), kNever).matvec(v, kNever),
                     expected) < 1e-13);
  }
}
