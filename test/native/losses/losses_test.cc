#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "code_of.h"
#include "core/losses/loss.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

namespace {

/// The largest error of a number relative to that number.
double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs() / b.abs().clamp_min(1e-300)).max().item<double>();
}

/// The derivative of the loss's gradient along u, as the Hessian takes it.
at::Tensor derivative(const Loss& loss, const at::Tensor& y, const at::Tensor& target,
                      const at::Tensor& u) {
  const at::Tensor leaf = y.clone().requires_grad_();
  return torch::autograd::grad({loss.gradient(leaf, target)}, {leaf}, {u})[0];
}

}  // namespace

TEST_CASE("the curvature of bce_with_logits keeps its digits in both tails") {
  const auto loss = makeLoss("bce_with_logits");
  const at::Tensor y =
      at::tensor({-300.0, -40.0, -5.0, -1e-9, 0.0, 1e-9, 5.0, 40.0, 300.0}, at::kDouble)
          .unsqueeze(1);
  const at::Tensor e = (-y.abs()).exp();
  const at::Tensor curvature = e / (1 + e).square();  // σ(y) σ(−y)
  for (const double t : {0.0, 1.0, 0.3}) {
    CAPTURE(t);
    const at::Tensor target = at::full_like(y, t);
    const at::Tensor u = at::full_like(y, 2.0);
    CHECK(relative(loss->hessianProduct(y, target, u), 2 * curvature) < 1e-15);
    CHECK(relative(derivative(*loss, y, target, u), 2 * curvature) < 1e-15);
    if (t == 0.3) continue;
    // σ(y) for t = 0, −σ(−y) for t = 1
    const at::Tensor z = t == 0 ? y : -y;
    const at::Tensor sigmoid = at::where(z < 0, e, at::ones_like(e)) / (1 + e);
    CHECK(relative(loss->gradient(y, target), t == 0 ? sigmoid : -sigmoid) < 1e-15);
  }
}

TEST_CASE("the curvature of cross_entropy keeps its digits where one class is all but certain") {
  const auto loss = makeLoss("cross_entropy");
  const at::Tensor y = at::tensor({0.0, -40.0, -45.0, -50.0}, at::kDouble).unsqueeze(0);
  const at::Tensor p = at::softmax(y, 1);
  const at::Tensor target = at::zeros({1}, at::kLong);
  const at::Tensor u = at::tensor({1.0, 0.0, 0.0, 0.0}, at::kDouble).unsqueeze(0);
  const at::Tensor others = p.narrow(1, 1, 3);
  // p₀ (1 − p₀) = p₀ Σ others, −p₀ pₖ
  const at::Tensor expected = at::cat({others.sum(1, true), -others}, 1) * p.select(1, 0);
  CHECK(relative(loss->hessianProduct(y, target, u), expected) < 1e-14);
  CHECK(relative(derivative(*loss, y, target, u), expected) < 1e-14);
  CHECK(relative(loss->gradient(y, target), at::cat({-others.sum(1, true), others}, 1)) < 1e-14);
  const at::Tensor wrong = at::ones({1}, at::kLong);
  const at::Tensor plain = p - at::one_hot(wrong, 4);
  CHECK(relative(loss->gradient(y, wrong), plain) < 1e-14);
}

TEST_CASE("the factors of Hessians are the Hessians") {
  const at::Tensor classes = at::tensor({2, 0, -100, 1}, at::kLong);
  LossOptions weighted;
  weighted.set("weight", at::tensor({0.5, 2.0, 0.0}, at::kDouble));
  weighted.set("labelSmoothing", 0.2);
  const at::Tensor y = at::linspace(0.1, 2.4, 24, at::kDouble).sin().abs().view({4, 3, 2});
  const at::Tensor same = at::linspace(0.2, 0.9, 24, at::kDouble).view({4, 3, 2});
  const at::Tensor grid = at::stack({classes, classes.flip(0)}, 1);
  const struct {
    const char* name;
    at::Tensor y;
    at::Tensor target;
    LossOptions options;
  } cases[] = {
      {"mse", y, same, {}},
      {"bce_with_logits", y.select(2, 0), same.select(2, 0), {}},
      {"huber", y.select(2, 0), same.select(2, 1), {}},
      {"poisson_nll", y.flatten(), same.flatten(), {}},
      {"gaussian_nll", y, same.narrow(2, 0, 1), {}},
      {"cross_entropy", y.select(2, 0), classes, {}},
      {"cross_entropy", y, grid, weighted},
      {"cross_entropy", y, same, weighted},
      {"cross_entropy", y.select(2, 0) * 1000, classes, {}},
      {"output", y.select(2, 0).select(1, 0), {}, {}},
  };
  for (const auto& each : cases) {
    CAPTURE(each.name);
    CAPTURE(describeShape(each.y.sizes()));
    const LossPtr loss = makeLoss(each.name, each.options);
    const RowFactors factors = loss->hessianFactors(each.y, each.target);
    const int64_t n = each.y.size(0);
    const int64_t outputs = each.y.numel() / n;
    REQUIRE(factors.vectors.sizes() == at::IntArrayRef({factors.weights.size(0), n, outputs}));
    REQUIRE(factors.weights.size(1) == n);
    const at::Tensor found =
        at::einsum("kn,kno,knp->nop", {factors.weights, factors.vectors, factors.vectors});
    const at::Tensor units = unitVectors(each.y);
    for (int64_t o = 0; o < outputs; ++o) {
      const at::Tensor column =
          loss->hessianProduct(each.y, each.target, units[o].reshape(each.y.sizes()));
      const at::Tensor error = found.select(2, o) - column.reshape({n, outputs});
      CHECK(error.abs().max().item<double>() <= 1e-14 * found.abs().max().item<double>());
    }
  }
  // NaN is no zero.
  const at::Tensor nan = at::full({1, 4}, NAN, at::kDouble);
  const RowFactors factors =
      makeLoss("gaussian_nll")->hessianFactors(nan, at::zeros({1, 2}, at::kDouble));
  CHECK((factors.weights.unsqueeze(2) * factors.vectors).isnan().any().item<bool>());
}

TEST_CASE("what is no number has no gradient that is one") {
  const at::Tensor nan = at::full({}, NAN, at::kDouble);
  for (const char* name : {"mse", "l1", "huber", "smooth_l1", "bce_with_logits", "poisson_nll",
                           "gaussian_nll", "cross_entropy"}) {
    const bool ofClasses = std::string(name) == "cross_entropy";
    for (const int64_t outputs : {ofClasses ? 1 : 2, 4}) {
      CAPTURE(name);
      CAPTURE(outputs);
      at::Tensor y = at::linspace(0.5, 2, 3 * outputs, at::kDouble).view({3, outputs});
      const bool halves = std::string(name) == "gaussian_nll";
      const at::Tensor target =
          ofClasses ? at::zeros({3}, at::kLong)
                    : at::full({3, halves ? outputs / 2 : outputs}, 0.5, at::kDouble);
      y[1][outputs - 1].copy_(nan);
      const at::Tensor gradient = makeLoss(name)->gradient(y, target);
      CHECK(gradient[1].isnan().any().item<bool>());
      CHECK_FALSE(gradient[0].isnan().any().item<bool>());
      CHECK_FALSE(gradient[2].isnan().any().item<bool>());
      if (ofClasses || halves) continue;
      at::Tensor unknown = target.clone();
      unknown[2][0].copy_(nan);
      y[1].fill_(1);
      CHECK(makeLoss(name)->gradient(y, unknown)[2].isnan().any().item<bool>());
      CHECK_FALSE(makeLoss(name)->gradient(y, unknown)[1].isnan().any().item<bool>());
    }
  }
}

TEST_CASE("a smooth_l1 as narrow as its precision has numbers for") {
  const at::Tensor zero = at::zeros({1, 1}, at::kDouble);
  const auto curvature = [&](double beta, at::ScalarType dtype) {
    LossOptions options;
    options.set("beta", beta);
    const auto loss = makeLoss("smooth_l1", options);
    const at::Tensor y = zero.to(dtype);
    CHECK(loss->gradient(y, y).item<double>() == 0);
    return loss->hessianProduct(y, y, at::ones_like(y)).item<double>();
  };
  for (const double beta : {1e-30, 1e-100, 1e-300}) {
    CAPTURE(beta);
    CHECK(curvature(beta, at::kDouble) == 1 / beta);
  }
  CHECK(curvature(1e-30, at::kFloat) == static_cast<float>(1e30));
  CHECK(curvature(1e-100, at::kFloat) == 0);  // none of its numbers but 0 is as small
  CHECK(curvature(0, at::kDouble) == 0);
}

TEST_CASE("draws of Poisson distributions have their means, variances and zeros") {
  constexpr int64_t kRows = 40'000;
  // On both sides of where the method changes.
  for (const double rate : {0.0, 0.3, 2.0, 9.99, 10.0, 40.0, 3e3, 1e7}) {
    CAPTURE(rate);
    const at::Tensor k = Draws(3).poisson(at::full({kRows, 1}, rate, at::kDouble), 0);
    CHECK((k >= 0).all().item<bool>());
    CHECK(at::equal(k, k.floor()));
    const double error = std::sqrt(rate / kRows);
    CHECK(std::abs(k.mean().item<double>() - rate) <= 5 * error);
    // The variance of (k − λ)² is λ + 2 λ².
    const double spread = (k - rate).square().mean().item<double>();
    CHECK(std::abs(spread - rate) <= 5 * std::sqrt((rate + 2 * rate * rate) / kRows));
    const double zero = std::exp(-rate);
    const double zeros = (k == 0).to(at::kDouble).mean().item<double>();
    CHECK(std::abs(zeros - zero) <= 5 * std::sqrt(zero * (1 - zero) / kRows));
  }
  // A row's numbers are its own, whatever rows are beside it.
  const at::Tensor rates = at::linspace(0, 50, 60, at::kDouble).view({20, 3});
  const at::Tensor whole = Draws(7).poisson(rates, 2);
  CHECK(at::equal(Draws(7).from(5).poisson(rates.narrow(0, 5, 9), 2), whole.narrow(0, 5, 9)));
  CHECK_FALSE(at::equal(Draws(7).poisson(rates, 3), whole));
  CHECK(Draws(7).poisson(at::tensor({-1.0, 1.0 / 0.0, 0.0 / 0.0}), 0).isnan().all().item<bool>());
}

TEST_CASE("an option of a loss has its type, and its default where it is absent") {
  LossOptions options;
  options.set("delta", 2.0);
  options.set("full", true);
  CHECK(options.number("delta", 1) == 2);
  CHECK(options.integer("ignoreIndex", -100) == -100);
  CHECK(options.flag("full", false));
  CHECK_FALSE(options.tensor("weight").defined());
  CHECK(options.tensor("delta").item<double>() == 2);
  CHECK(test::codeOf([&] { options.number("full", 1); }) == "ERR_INVALID_ARGUMENT");
  CHECK(test::codeOf([&] { options.tensor("full"); }) == "ERR_INVALID_ARGUMENT");
  CHECK(test::codeOf([&] { makeLoss("huber", options).get(); }) == "");
}
