#include <ATen/ATen.h>

#include <functional>
#include <utility>
#include <vector>

#include "core/linearization/chunked.h"
#include "core/linearization/rows.h"
#include "core/losses/objective.h"
#include "core/operators/gramian.h"
#include "core/operators/hessian.h"
#include "core/operators/loss_gradient.h"
#include "core/products/dense.h"
#include "core/products/on_the_fly.h"
#include "core/runtime/sum.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

const StopToken kNever;

/// So many terms in float32, each rounded the same way, lose three of seven digits.
constexpr int64_t kRows = 12'000;

}  // namespace

TEST_CASE("a sum of many terms has the digits of its terms, and their precision") {
  for (const int64_t terms : {1, 2, 8, 9, 100'000}) {
    CAPTURE(terms);
    Sum sum;
    CHECK_FALSE(sum.total().defined());
    for (int64_t i = 0; i < terms; ++i) sum.add(at::full({3}, 0.7123F));
    const at::Tensor total = sum.total();
    CHECK(total.scalar_type() == at::kFloat);
    CHECK(difference(total.to(at::kDouble),
                     at::full({3}, static_cast<double>(0.7123F), at::kDouble) * terms) < 1e-6);
  }
}

TEST_CASE("products in float32 have their digits however many chunks the rows are in") {
  Builder b;
  const auto y = b.linear(b.input(), 1, 1);
  const at::Tensor params = at::tensor({0.3F, 0.1F});
  const at::Tensor x = at::full({kRows, 1}, 0.7123F);
  const Point narrow{b.build(y), params, {x}, {}};
  Point wide = narrow;
  wide.params = params.to(at::kDouble);
  wide.inputs = {x.to(at::kDouble)};
  const at::Tensor v = at::tensor({1.0F, 0.5F});

  using Product = std::function<at::Tensor(const Point&, const at::Tensor&, const ChunkOptions&)>;
  const auto objectiveOf = [](const Point& point) {
    return makeObjective(makeLoss("mse"), outputLike(point),
                         at::zeros({kRows, 1}, point.params.options()), Reduction::kSum);
  };
  const auto kept = [](const Point& p, const ChunkOptions& o) {
    return std::make_shared<ChunkedLinearization>(p, o, kNever);
  };
  const std::vector<std::pair<const char*, Product>> products = {
      {"on the fly",
       [](const Point& p, const at::Tensor& w, const ChunkOptions& o) {
         return matvecOnTheFly(p, w, o.engine, o.chunkSize, kNever);
       }},
      {"matvec", [&](const Point& p, const at::Tensor& w,
                     const ChunkOptions& o) { return kept(p, o)->matvec(w, kNever); }},
      {"matmat",
       [&](const Point& p, const at::Tensor& w, const ChunkOptions& o) {
         return kept(p, o)->matmat(at::stack({w, w}), kNever);
       }},
      {"vjp",
       [&](const Point& p, const at::Tensor&, const ChunkOptions& o) {
         return kept(p, o)->vjp(at::full({kRows, 1}, 0.37F, p.params.options()), kNever);
       }},
      {"diagonal", [&](const Point& p, const at::Tensor&,
                       const ChunkOptions& o) { return gramian(kept(p, o))->diagonal(kNever); }},
      {"dense, by F",
       [](const Point& p, const at::Tensor& w, const ChunkOptions& o) {
         return matvecDense(p, w, DenseStrategy::kGram, o.engine, o.chunkSize, kNever);
       }},
      {"dense, by J",
       [](const Point& p, const at::Tensor& w, const ChunkOptions& o) {
         return matvecDense(p, w, DenseStrategy::kJacobian, o.engine, o.chunkSize, kNever);
       }},
      {"gradient of a loss",
       [&](const Point& p, const at::Tensor&, const ChunkOptions& o) {
         const LossGradient found = lossGradient(p, o, objectiveOf(p), {}, kNever);
         return at::cat({found.loss.view({1}), found.gradient});
       }},
      {"Hessian",
       [&](const Point& p, const at::Tensor& w, const ChunkOptions& o) {
         return hessian(p, o, objectiveOf(p), {}, kNever)->matvec(w, kNever);
       }},
  };
  for (const auto& [name, product] : products) {
    for (const Engine engine : {Engine::kAutograd, Engine::kFused}) {
      const at::Tensor expected = product(wide, v.to(at::kDouble), {engine});
      const auto error = [&](int64_t chunkSize) {
        return difference(product(narrow, v, {engine, chunkSize}).to(at::kDouble), expected);
      };
      // libtorch's own kernels may lose as many.
      const double whole = error(0);
      for (const int64_t chunkSize : {1, 7}) {
        CAPTURE(name);
        CAPTURE(static_cast<int>(engine));
        CAPTURE(chunkSize);
        CHECK(error(chunkSize) <= whole + 2e-6);
      }
    }
  }
}
