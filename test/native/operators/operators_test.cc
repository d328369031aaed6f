#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>

#include "code_of.h"
#include "core/linearization/rows.h"
#include "core/operators/callback.h"
#include "core/operators/centered_parts.h"
#include "core/operators/combine.h"
#include "core/operators/fisher.h"
#include "core/operators/gauss_newton.h"
#include "core/operators/gramian.h"
#include "core/operators/hessian.h"
#include "core/operators/loss_gradient.h"
#include "core/operators/matrix.h"
#include "core/runtime/error.h"
#include "core/runtime/random.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

const StopToken kNever;

LinearizationPtr linearized(const Model& model, int64_t chunkSize = 0) {
  const ChunkOptions options{Engine::kAutograd, chunkSize, 0, 8};
  return std::make_shared<ChunkedLinearization>(model.point, options, kNever);
}

Objective objectiveOf(const Model& model, Reduction reduction = Reduction::kMean) {
  return makeObjective(makeLoss(model.loss), outputLike(model.point), model.target, reduction);
}

RowWeights weightsOf(const at::Tensor& weights, bool center, const Model& model) {
  return RowWeights(weights, center, model.point.batch(), model.point.params.options());
}

at::Tensor rowWeights(const Model& model) {
  return Random(9).uniform({model.point.batch()}, 0, 2, at::kDouble);
}

OperatorPtr empiricalFisher(const LinearizationPtr& lin, const Objective& objective,
                            const RowWeights& weights, Per per = Per::kDatum) {
  return sandwich(lin, empiricalFisherMap(lin->output(), objective, weights, per));
}

OperatorPtr monteCarloFisher(const LinearizationPtr& lin, const Objective& objective,
                             int64_t samples, uint64_t seed, Per per = Per::kDatum) {
  return sandwich(lin,
                  monteCarloFisherMap(lin->output(), objective, {}, per, Draws(seed), samples, {}));
}

/// Every operator of a model, by name.
std::vector<std::pair<std::string, OperatorPtr>> operators(const Model& model, int64_t chunkSize) {
  const auto lin = linearized(model, chunkSize);
  const ChunkOptions options{Engine::kAutograd, chunkSize, 0, 8};
  const auto w = [&](bool center) { return weightsOf(rowWeights(model), center, model); };
  const Objective objective = objectiveOf(model);
  return {
      {"gramian", gramian(lin, {})},
      {"weighted gramian", gramian(lin, w(false))},
      {"centered gramian", gramian(lin, weightsOf({}, true, model))},
      {"weighted, centered gramian", gramian(lin, w(true))},
      {"jacobian", jacobian(lin)},
      {"weighted, centered jacobian", jacobian(lin, w(true))},
      {"ntk", ntk(lin)},
      {"weighted, centered ntk", ntk(lin, w(true))},
      {"gauss-newton", gaussNewton(lin, objective, {})},
      {"weighted gauss-newton", gaussNewton(lin, objective, w(false))},
      {"empirical fisher", empiricalFisher(lin, objective, {})},
      {"weighted, centered empirical fisher", empiricalFisher(lin, objective, w(true))},
      {"empirical fisher of rows", empiricalFisher(lin, objective, w(true), Per::kRow)},
      {"monte-carlo fisher", monteCarloFisher(lin, objective, 3, 5)},
      {"weighted sums of J", weightedSums(lin, rowWeighting(lin->output(), w(true)))},
      {"product around a mean", productAround(lin, rowWeighting(lin->output(), w(true)))},
      {"weighted sums of gradients",
       weightedSums(lin, empiricalFisherMap(lin->output(), objective, w(true), Per::kDatum))},
      {"outer products around a mean",
       productAround(lin, empiricalFisherMap(lin->output(), objective, w(true), Per::kDatum))},
      {"hessian", hessian(model.point, options, objective, {}, kNever)},
      {"weighted hessian", hessian(model.point, options, objective, w(false), kNever)},
  };
}

/// The Hessian of `value` at `at`, a row at a time by plain autograd.
at::Tensor hessianByRows(const std::function<at::Tensor(const at::Tensor&)>& value,
                         const at::Tensor& at) {
  const at::Tensor x = at.detach().clone().requires_grad_();
  const at::Tensor gradient =
      torch::autograd::grad({value(x)}, {x}, {}, true, /*create_graph=*/true)[0];
  std::vector<at::Tensor> rows;
  for (const at::Tensor& entry : gradient.reshape(-1).unbind()) {
    const auto row = torch::autograd::grad({entry}, {x}, {}, true, false, /*allow_unused=*/true)[0];
    rows.push_back(row.defined() ? row.reshape(-1) : at::zeros_like(x).reshape(-1));
  }
  return at::stack(rows);
}

int64_t reductionOf(Reduction reduction) {
  return reduction == Reduction::kMean ? at::Reduction::Mean : at::Reduction::Sum;
}

}  // namespace

TEST_CASE("products are linear, adjoint to each other and those of the dense matrix") {
  for (const Model& model : models()) {
    for (const auto& each : operators(model, 0)) {
      const auto& op = each.second;
      CAPTURE(model.name);
      CAPTURE(each.first);
      const at::Tensor dense = op->toDense(kNever);
      const at::Tensor v = randomLike(at::zeros({op->cols()}, op->options()), 1);
      const at::Tensor w = randomLike(v, 2);
      const at::Tensor u = randomLike(at::zeros({op->rows()}, op->options()), 3);
      const at::Tensor product = op->matvec(v, kNever);
      CHECK(difference(product, dense.mv(v)) < 1e-10);
      CHECK(difference(op->rmatvec(u, kNever), dense.t().mv(u)) < 1e-10);
      CHECK(u.dot(product).item<double>() ==
            doctest::Approx(op->rmatvec(u, kNever).dot(v).item<double>()).epsilon(1e-9));
      CHECK(difference(op->matvec(v * 2 - w, kNever), product * 2 - op->matvec(w, kNever)) < 1e-10);
      const at::Tensor many = at::stack({v, w});
      CHECK(difference(op->matmat(many, kNever), at::matmul(many, dense.t())) < 1e-10);
      if (op->symmetric()) CHECK(difference(dense, dense.t()) < 1e-10);
      if (op->rows() == op->cols())
        CHECK(difference(op->diagonal(kNever), dense.diagonal()) < 1e-10);
    }
  }
}

TEST_CASE("ragged chunks change nothing") {
  for (const Model& model : models()) {
    const auto whole = operators(model, 0);
    const auto chunked = operators(model, 3);
    for (size_t i = 0; i < whole.size(); ++i) {
      CAPTURE(model.name);
      CAPTURE(whole[i].first);
      const at::Tensor v = randomLike(at::zeros({whole[i].second->cols()}, at::kDouble), 1);
      CHECK(difference(chunked[i].second->matvec(v, kNever), whole[i].second->matvec(v, kNever)) <
            1e-11);
    }
  }
}

TEST_CASE("Gramian and kernel are those of the Jacobian, weighted and centered") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const auto lin = linearized(model, 2);
    const int64_t batch = model.point.batch();
    const at::Tensor j = jacobianByRows(model.point).view({batch, -1, model.point.params.numel()});
    const at::Tensor weights = rowWeights(model);
    for (const bool center : {false, true}) {
      const at::Tensor w = weights.view({batch, 1, 1});
      const at::Tensor mean = (j * w).sum(0, true) / weights.sum();
      const at::Tensor a = ((center ? j - mean : j) * w.sqrt()).flatten(0, 1);
      const RowWeights rows = weightsOf(weights, center, model);
      CHECK(difference(jacobian(lin, rows)->toDense(kNever), a) < 1e-11);
      CHECK(difference(gramian(lin, rows)->toDense(kNever), a.t().mm(a)) < 1e-11);
      CHECK(difference(ntk(lin, rows)->toDense(kNever), a.mm(a.t())) < 1e-11);
    }
    const at::Tensor plain = j.flatten(0, 1);
    CHECK(difference(gramian(lin, {})->toDense(kNever), plain.t().mm(plain)) < 1e-11);
  }
}

TEST_CASE("losses agree with PyTorch's own") {
  for (const Model& model : models()) {
    for (const Reduction reduction : {Reduction::kMean, Reduction::kSum}) {
      CAPTURE(model.name);
      const at::Tensor y = runModel(model.point, model.point.params).detach();
      const Objective objective = objectiveOf(model, reduction);
      const auto value = [&](const at::Tensor& at) {
        return torchLoss(model.loss, at, model.target, reductionOf(reduction));
      };
      const at::Tensor leaf = y.clone().requires_grad_();
      const at::Tensor gradient = torch::autograd::grad({value(leaf)}, {leaf})[0];
      CHECK((objective.loss->rowValues(y, model.target).sum() * objective.scale).item<double>() ==
            doctest::Approx(value(y).item<double>()).epsilon(1e-12));
      CHECK(difference(objective.loss->gradient(y, model.target) * objective.scale, gradient) <
            1e-12);
      const at::Tensor u = randomLike(y, 3);
      const at::Tensor product =
          objective.loss->hessianProduct(y, model.target, u) * objective.scale;
      CHECK(difference(product.reshape(-1), hessianByRows(value, y).mv(u.reshape(-1))) < 1e-11);
    }
  }
}

TEST_CASE("the loss and its gradient over chunks") {
  for (const Model& model : models()) {
    for (const Reduction reduction : {Reduction::kMean, Reduction::kSum}) {
      CAPTURE(model.name);
      const at::Tensor params = model.point.params.clone().requires_grad_();
      const at::Tensor loss = torchLoss(model.loss, runModel(model.point, params), model.target,
                                        reductionOf(reduction));
      const at::Tensor gradient = torch::autograd::grad({loss}, {params})[0];
      const auto result = lossGradient(model.point, {Engine::kAutograd, 3, 0, 1},
                                       objectiveOf(model, reduction), {}, kNever);
      CHECK(result.loss.item<double>() == doctest::Approx(loss.item<double>()).epsilon(1e-12));
      CHECK(difference(result.gradient, gradient) < 1e-11);
    }
  }
}

TEST_CASE("the Hessian is PyTorch's, and the slope of the gradient") {
  for (const Model& model : models()) {
    for (const Reduction reduction : {Reduction::kMean, Reduction::kSum}) {
      CAPTURE(model.name);
      const Objective objective = objectiveOf(model, reduction);
      const ChunkOptions options{Engine::kAutograd, 3, 0, 8};
      const OperatorPtr op = hessian(model.point, options, objective, {}, kNever);
      const auto value = [&](const at::Tensor& params) {
        return torchLoss(model.loss, runModel(model.point, params), model.target,
                         reductionOf(reduction));
      };
      CHECK(difference(op->toDense(kNever), hessianByRows(value, model.point.params)) < 1e-10);

      const at::Tensor v = randomLike(model.point.params, 4);
      const auto gradientAt = [&](double h) {
        Point moved = model.point;
        moved.params = moved.params + v * h;
        return lossGradient(moved, options, objective, {}, kNever).gradient;
      };
      const double h = 1e-5;
      const at::Tensor slope = (gradientAt(h) - gradientAt(-h)) / (2 * h);
      CHECK(difference(op->matvec(v, kNever), slope) < 1e-6);
    }
  }
}

TEST_CASE("the Gauss-Newton matrix is that of the dense Jacobian and the loss's Hessian") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const at::Tensor y = runModel(model.point, model.point.params).detach();
    const at::Tensor j = jacobianByRows(model.point);
    const at::Tensor h = hessianByRows(
        [&](const at::Tensor& at) {
          return torchLoss(model.loss, at, model.target, at::Reduction::Mean);
        },
        y);
    const OperatorPtr op = gaussNewton(linearized(model, 2), objectiveOf(model), {});
    CHECK(difference(op->toDense(kNever), j.t().mm(h).mm(j)) < 1e-11);
  }
}

TEST_CASE("the empirical Fisher matrix is the sum of g gᵀ, a datum or a row at a time") {
  for (const Model& model : models()) {
    const at::Tensor y = runModel(model.point, model.point.params).detach();
    for (const Reduction reduction : {Reduction::kMean, Reduction::kSum}) {
      for (const Per per : {Per::kDatum, Per::kRow}) {
        CAPTURE(model.name);
        const Objective objective = objectiveOf(model, reduction);
        // Which datum each output belongs to, by cutting up the outputs' own numbers.
        const at::Tensor numbers = at::arange(y.numel()).view(y.sizes());
        std::vector<at::Tensor> data;
        for (int64_t n = 0; n < y.size(0); ++n) {
          const at::Tensor row = numbers[n];
          if (per == Per::kRow || row.dim() == 0) {
            data.push_back(row.reshape(-1));
          } else {
            const int64_t axis = model.loss == "cross_entropy" ? 0 : -1;
            for (const at::Tensor& each :
                 row.movedim(axis, -1).reshape({-1, row.size(axis)}).unbind())
              data.push_back(each);
          }
        }
        const at::Tensor leaf = y.clone().requires_grad_();
        const at::Tensor byOutput =
            torch::autograd::grad({torchLoss(model.loss, leaf, model.target, at::Reduction::Sum)},
                                  {leaf})[0]
                .reshape(-1);
        const at::Tensor j = jacobianByRows(model.point);
        const at::Tensor perRow = rowWeights(model);
        std::vector<at::Tensor> gradients;
        std::vector<at::Tensor> weights;
        for (const at::Tensor& each : data) {
          const at::Tensor g = byOutput.index_select(0, each);
          if (g.eq(0).all().item<bool>()) continue;  // every target of it is ignored
          gradients.push_back(j.index_select(0, each).t().mv(g));
          weights.push_back(perRow[each[0].item<int64_t>() / (y.numel() / y.size(0))]);
        }
        const at::Tensor g = at::stack(gradients);
        const at::Tensor w = at::stack(weights).unsqueeze(1);
        const auto lin = linearized(model, 3);
        CHECK(difference(empiricalFisher(lin, objective, {}, per)->toDense(kNever),
                         g.t().mm(g) * objective.scale) < 1e-11);
        const at::Tensor centered = (g - (g * w).sum(0, true) / w.sum()) * w.sqrt();
        const RowWeights weighting = weightsOf(perRow, true, model);
        CHECK(difference(empiricalFisher(lin, objective, weighting, per)->toDense(kNever),
                         centered.t().mm(centered) * objective.scale) < 1e-10);
        CHECK(dataWeight(y, objective, weighting, per) ==
              doctest::Approx(w.sum().item<double>()).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("the Monte-Carlo Fisher matrix tends to the Gauss-Newton matrix") {
  for (const Model& model : models()) {
    CAPTURE(model.name);
    const auto lin = linearized(model);
    const Objective objective = objectiveOf(model);
    const at::Tensor exact = gaussNewton(lin, objective, {})->toDense(kNever);
    for (const Per per : {Per::kDatum, Per::kRow}) {
      const auto error = [&](int64_t samples) {
        const at::Tensor estimate =
            monteCarloFisher(lin, objective, samples, 1, per)->toDense(kNever);
        return ((estimate - exact).norm() / exact.norm()).item<double>();
      };
      const double ofMany = error(4000);
      CHECK(ofMany < 0.08);
      CHECK(ofMany < error(10));
    }
    const at::Tensor v = randomLike(model.point.params, 2);
    CHECK(at::equal(monteCarloFisher(lin, objective, 5, 3)->matvec(v, kNever),
                    monteCarloFisher(lin, objective, 5, 3)->matvec(v, kNever)));
    CHECK_FALSE(at::equal(monteCarloFisher(lin, objective, 5, 3)->matvec(v, kNever),
                          monteCarloFisher(lin, objective, 5, 4)->matvec(v, kNever)));
  }
}

TEST_CASE("draws are those of their rows, samples and places") {
  for (const auto dtype : {at::kDouble, at::kFloat}) {
    const Draws whole(7);
    for (const auto draw : {&Draws::uniform, &Draws::normal}) {
      const at::Tensor all = (whole.*draw)({9, 4, 5}, 2, dtype);
      const at::Tensor last = (Draws(7, 6).*draw)({3, 4, 5}, 2, dtype);
      CHECK(at::equal(all.narrow(0, 6, 3), last));
      CHECK_FALSE(at::equal(all, (whole.*draw)({9, 4, 5}, 3, dtype)));
      CHECK_FALSE(at::equal(all, (Draws(8).*draw)({9, 4, 5}, 2, dtype)));
      CHECK((whole.*draw)({0, 4}, 0, dtype).numel() == 0);
    }
    // 10⁵ draws: means and variances to five of their standard deviations.
    const at::Tensor u = whole.uniform({100, 1000}, 0, dtype).to(at::kDouble);
    CHECK(u.ge(0).all().item<bool>());
    CHECK(u.lt(1).all().item<bool>());
    CHECK(std::abs(u.mean().item<double>() - 0.5) < 5 * std::sqrt(1.0 / 12 / 1e5));
    CHECK(std::abs(u.var().item<double>() - 1.0 / 12) < 5 * std::sqrt(1.0 / 180 / 1e5));
    const at::Tensor z = whole.normal({100, 1000}, 0, dtype).to(at::kDouble);
    CHECK(std::abs(z.mean().item<double>()) < 5 * std::sqrt(1 / 1e5));
    CHECK(std::abs(z.var().item<double>() - 1) < 5 * std::sqrt(2 / 1e5));
    CHECK(std::abs(z.pow(4).mean().item<double>() - 3) < 5 * std::sqrt(96 / 1e5));
    // Neighbors along either axis are not correlated.
    CHECK(std::abs((z.slice(0, 1) * z.slice(0, 0, -1)).mean().item<double>()) < 5 / std::sqrt(1e5));
    CHECK(std::abs((z.slice(1, 1) * z.slice(1, 0, -1)).mean().item<double>()) < 5 / std::sqrt(1e5));
  }
}

TEST_CASE("the mean of no terms is NaN and its derivatives are zero, as in PyTorch") {
  for (Model model : models()) {
    if (model.loss != "cross_entropy") continue;
    CAPTURE(model.name);
    model.target = at::full_like(model.target, -100);
    for (const Reduction reduction : {Reduction::kMean, Reduction::kSum}) {
      const Objective objective = objectiveOf(model, reduction);
      const ChunkOptions options{Engine::kAutograd, 3, 0, 8};
      const auto [loss, gradient] = lossGradient(model.point, options, objective, {}, kNever);
      CHECK(std::isnan(loss.item<double>()) == (reduction == Reduction::kMean));
      CHECK(gradient.eq(0).all().item<bool>());
      const auto lin = linearized(model, 2);
      const at::Tensor v = randomLike(model.point.params, 2);
      for (const OperatorPtr& op :
           {gaussNewton(lin, objective, {}), hessian(model.point, options, objective, {}, kNever),
            empiricalFisher(lin, objective, {}),
            empiricalFisher(lin, objective, weightsOf({}, true, model)),
            monteCarloFisher(lin, objective, 2, 0)}) {
        CHECK(op->matvec(v, kNever).eq(0).all().item<bool>());
      }
    }
  }
}

TEST_CASE("sums, multiples, shifts, products and submatrices") {
  const auto matrix = [](at::IntArrayRef shape, uint64_t seed) {
    return randomLike(at::zeros(shape, at::kDouble), seed);
  };
  const at::Tensor a = matrix({6, 6}, 1);
  const at::Tensor b = matrix({6, 6}, 2);
  const at::Tensor d = matrix({6}, 3);
  const OperatorPtr opA = denseOperator(a, false);
  const OperatorPtr opB = denseOperator(b, false);
  const std::vector<std::pair<OperatorPtr, at::Tensor>> cases = {
      {sum({opA, opB, diagonalOperator(d)}), a + b + at::diag(d)},
      {scaled(opA, -2.5), a * -2.5},
      {shifted(opA, 0.5), a + at::eye(6, at::kDouble) * 0.5},
      {product(opA, opB), a.mm(b)},
      {submatrix(opA, {{1, 3}, {5, 6}}, {{0, 2}}),
       a.index_select(0, at::tensor({1, 2, 5})).narrow(1, 0, 2)},
  };
  for (const auto& [op, dense] : cases) {
    const at::Tensor v = matrix({op->cols()}, 4);
    const at::Tensor u = matrix({op->rows()}, 5);
    const at::Tensor many = matrix({3, op->cols()}, 6);
    const at::Tensor manyRows = matrix({3, op->rows()}, 7);
    const at::Tensor before = v.clone();
    CHECK(difference(op->matvec(v, kNever), dense.mv(v)) < 1e-12);
    CHECK(difference(op->rmatvec(u, kNever), dense.t().mv(u)) < 1e-12);
    CHECK(difference(op->matmat(many, kNever), many.mm(dense.t())) < 1e-12);
    CHECK(difference(op->rmatmat(manyRows, kNever), manyRows.mm(dense)) < 1e-12);
    CHECK(difference(op->toDense(kNever), dense) < 1e-12);
    if (op->rows() == op->cols()) CHECK(difference(op->diagonal(kNever), dense.diagonal()) < 1e-12);
    CHECK(at::equal(v, before));
    CHECK(difference(opA->toDense(kNever), a) == 0);
  }
}

TEST_CASE("custom operators are checked") {
  const at::Tensor a = randomLike(at::zeros({3, 4}, at::kDouble), 1);
  const auto custom = [&](const ProductFunction& product, bool symmetric = false) {
    return callbackOperator(3, symmetric ? 3 : 4, a.options(), symmetric, product);
  };
  const OperatorPtr op = custom([&](const at::Tensor& vectors, bool transposed, const StopToken&) {
    return vectors.mm(transposed ? a : a.t());
  });
  CHECK(difference(op->toDense(kNever), a) < 1e-14);
  CHECK(difference(op->rmatvec(a.select(1, 0), kNever), a.t().mv(a.select(1, 0))) < 1e-14);
  const at::Tensor v = at::ones({4}, at::kDouble);
  const auto wrong = [&](const at::Tensor& result) {
    return codeOf([&] {
      custom([&](const at::Tensor&, bool, const StopToken&) { return result; })->matvec(v, kNever);
    });
  };
  CHECK(wrong(v) == "ERR_SHAPE_MISMATCH");
  CHECK(wrong(at::ones({3}, at::kFloat)) == "ERR_DTYPE_MISMATCH");
  const OperatorPtr symmetric = custom(
      [](const at::Tensor& vectors, bool transposed, const StopToken&) {
        CHECK_FALSE(transposed);
        return vectors * 2;
      },
      true);
  CHECK(symmetric->rmatvec(v.narrow(0, 0, 3), kNever).sum().item<double>() == 6);
}

TEST_CASE("bad input is refused with a code") {
  const auto table = models();
  const Model& regression = table[0];      // mse, output [7, 2]
  const Model& classification = table[2];  // cross_entropy, output [6, 3]
  const auto objective = [](const Model& model, const char* loss, const at::Tensor& target) {
    return codeOf(
        [&] { makeObjective(makeLoss(loss), outputLike(model.point), target, Reduction::kMean); });
  };
  const at::Tensor classes = classification.target;
  CHECK(objective(regression, "mse", at::zeros({7, 3}, at::kDouble)) == "ERR_SHAPE_MISMATCH");
  CHECK(objective(regression, "mse", at::zeros({7, 2}, at::kFloat)) == "ERR_DTYPE_MISMATCH");
  CHECK(objective(regression, "hinge", regression.target) == "ERR_INVALID_ARGUMENT");
  CHECK(objective(classification, "cross_entropy", at::zeros({6}, at::kDouble)) ==
        "ERR_DTYPE_MISMATCH");
  CHECK(objective(classification, "cross_entropy", at::zeros({5}, at::kLong)) ==
        "ERR_SHAPE_MISMATCH");
  CHECK(objective(classification, "cross_entropy", classes + 3) == "ERR_INVALID_ARGUMENT");
  CHECK(objective(classification, "cross_entropy", classes - 3) == "ERR_INVALID_ARGUMENT");
  CHECK(objective(table[1], "cross_entropy", at::zeros({7}, at::kLong)) == "ERR_SHAPE_MISMATCH");

  const auto weights = [&](const at::Tensor& w) {
    return codeOf([&] { weightsOf(w, false, regression); });
  };
  CHECK(weights(at::ones({6}, at::kDouble)) == "ERR_SHAPE_MISMATCH");
  CHECK(weights(at::ones({7}, at::kFloat)) == "ERR_DTYPE_MISMATCH");
  CHECK(weights(at::ones({7}, at::kDouble) * -1) == "ERR_INVALID_ARGUMENT");

  const OperatorPtr j = jacobian(linearized(regression));
  const at::Tensor v = regression.point.params;
  CHECK(codeOf([&] { j->matvec(v.narrow(0, 1, 3), kNever); }) == "ERR_SHAPE_MISMATCH");
  CHECK(codeOf([&] { j->matvec(v.to(at::kFloat), kNever); }) == "ERR_DTYPE_MISMATCH");
  CHECK(codeOf([&] { j->diagonal(kNever); }) == "ERR_SHAPE_MISMATCH");
  CHECK(codeOf([&] { shifted(j, 1); }) == "ERR_SHAPE_MISMATCH");
  CHECK(codeOf([&] { sum({j, gramian(linearized(regression), {})}); }) == "ERR_SHAPE_MISMATCH");
  CHECK(codeOf([&] { submatrix(j, {{0, 99}}, {{0, 1}}); }) == "ERR_INVALID_ARGUMENT");
  CHECK(codeOf([&] {
          const auto huge = diagonalOperator(at::zeros({int64_t{1} << 24}, at::kDouble));
          huge->toDense(kNever);
        }) == "ERR_OUT_OF_MEMORY");
}

TEST_CASE("NaN in the data propagates") {
  Model model = models().front();
  model.point.inputs[0] = model.point.inputs[0].clone();
  model.point.inputs[0][0][0] = std::nan("");
  const at::Tensor product = gramian(linearized(model), {})->matvec(model.point.params, kNever);
  CHECK(product.isnan().any().item<bool>());
}
