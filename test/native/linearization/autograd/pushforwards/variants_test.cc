#include "variants.h"
#include "counts.h"

#include <c10/core/GradMode.h>

#include <limits>
#include <set>
#include <string>
#include <vector>

#include "core/linearization/autograd/autograd.h"
#include "core/linearization/autograd/pushforwards/pushforward.h"
#include "core/products/on_the_fly.h"
#include "core/program/allowed_operators.h"
#include "core/program/schema.h"
#include "counts.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

constexpr int kTries = 4000;
constexpr int kAccepted = 40;

/// The output where libtorch takes the call, parameters reach it and it is finite; else undefined.
at::Tensor accepted(VariantSource& source, std::optional<Variant>& variant) {
  try {
    variant = source.draw();
    if (!variant) return {};
    const at::AutoGradMode gradients(true);
    const at::Tensor params = variant->point.params.detach().clone().requires_grad_();
    const at::Tensor y = runModel(variant->point, params);
    if (!y.requires_grad() || y.numel() == 0 || !y.isfinite().all().item<bool>()) return {};
    return y.detach();
  } catch (const std::exception&) {
    return {};
  }
}

double pairing(const at::Tensor& a, const at::Tensor& b) {
  return (a.reshape({-1}) * b.reshape({-1})).sum().item<double>();
}

/// How far J v is from central differences, at the best of some steps: each is wrong by its
/// rounding or by what it leaves out.
double fromDifferences(const Point& point, const at::Tensor& v, const at::Tensor& jv) {
  double best = std::numeric_limits<double>::infinity();
  for (const double step : {1e-4, 1e-5, 1e-6}) {
    const at::Tensor ahead = runModel(point, point.params + v * step);
    const at::Tensor behind = runModel(point, point.params - v * step);
    const at::Tensor estimate = (ahead - behind) / (2 * step);
    const double scale = std::max(1e-3, estimate.abs().max().item<double>());
    best = std::min(best, (jv - estimate).abs().max().item<double>() / scale);
  }
  return best;
}

/// Where PyTorch's derivative is another by convention: that of the padding row of an embedding is
/// 0.
bool hasConvention(const Variant& variant) {
  return variant.text.starts_with("aten::embedding(") &&
         variant.text.find("padding_idx=-1") == std::string::npos;
}

/// What is wrong with the products of this call; empty if nothing.
std::string fault(const Variant& variant, const at::Tensor& y, uint64_t seed) {
  const Point& point = variant.point;
  const at::Tensor v = randomLike(point.params, seed);
  const at::Tensor u = randomLike(y, seed + 1);
  const double tolerance = variant.exact ? 1e-11 : 1e-4;
  try {
    const auto kept = linearizeAutograd(point, StopToken());
    const at::Tensor jv = kept->jvp(v, StopToken());
    if (jv.sizes() != y.sizes()) return "J v has the shape " + c10::str(jv.sizes());
    if (!at::equal(jv, kept->jvp(v, StopToken()))) return "the second J v differs";
    const at::Tensor jtu = kept->vjp(u, StopToken());
    // Both sides may be zero but for rounding, as where softmax is of equal numbers.
    const double scale = (u.norm() * jv.norm() + jtu.norm() * v.norm()).item<double>() +
                         1e-3 * (u.norm() * v.norm()).item<double>();
    const double apart = std::abs(pairing(u, jv) - pairing(jtu, v));
    if (!(apart <= tolerance * scale))
      return c10::str("<u, Jv> is ", pairing(u, jv), ", not ", pairing(jtu, v));
    const at::Tensor product = kept->matvec(v, StopToken());
    const at::Tensor oneShot = matvecOnTheFly(point, v, Engine::kAutograd, 0, {});
    if (!(difference(oneShot, product) <= tolerance)) return "the one-shot product differs";
    if (variant.exact && !hasConvention(variant)) {
      if (const double far = fromDifferences(point, v, jv); !(far < 1e-6))
        return c10::str("finite differences are ", far, " away");
    }
  } catch (const std::exception& error) {
    return std::string("throws ") + error.what();
  }
  return "";
}

/// All overloads of a rule's operator that a program can call.
std::vector<std::string> overloadsOf(const std::string& rule) {
  std::vector<std::string> found;
  for (const c10::OperatorName& each : c10::Dispatcher::singleton().getAllOpNames()) {
    const std::string full =
        each.overload_name.empty() ? each.name : each.name + "." + each.overload_name;
    if (full != rule && each.name != rule) continue;
    const auto op = c10::Dispatcher::singleton().findSchema(each);
    if (!op || !isAllowed(*op)) continue;
    if (VariantSource(full, 0).expressible()) found.push_back(full);
  }
  return found;
}

/// Overloads that this libtorch takes on CUDA only.
const std::set<std::string> kElsewhere = {"aten::addmm.dtype", "aten::baddbmm.dtype",
                                          "aten::mm.dtype", "aten::bmm.dtype"};

struct Tally {
  int accepted = 0;
  std::vector<std::string> faults;
};

Tally tryOut(const std::string& op, int tries, int enough) {
  Tally tally;
  VariantSource source(op, std::hash<std::string>()(op));
  for (int i = 0; i < tries && tally.accepted < enough; ++i) {
    std::optional<Variant> variant;
    const at::Tensor y = accepted(source, variant);
    if (!y.defined()) continue;
    ++tally.accepted;
    if (const std::string wrong = fault(*variant, y, static_cast<uint64_t>(i)); !wrong.empty())
      tally.faults.push_back(variant->text + ": " + wrong);
  }
  return tally;
}

void checkAll(const std::string& op) {
  CAPTURE(op);
  const Tally tally = tryOut(op, kTries, byCounts(kAccepted / 4, kAccepted));
  CHECK(tally.accepted > 0);
  for (const std::string& wrong : tally.faults) {
    CAPTURE(wrong);
    CHECK(wrong.empty());
  }
}

}  // namespace

TEST_CASE("every call that an operator with a rule takes has the right derivatives") {
  for (const auto& [name, rule] : pushforwardRules().rows()) {
    CAPTURE(name);
    const auto overloads = overloadsOf(name);
    CHECK(!overloads.empty());
    for (const std::string& op : overloads) {
      if (!kElsewhere.contains(op)) checkAll(op);
    }
  }
}

TEST_CASE(
    "every call of an operator that libtorch differentiates wrongly has the right derivatives") {
  for (const std::string op : {
           "aten::batch_norm",
           "aten::native_batch_norm",
           "aten::_native_batch_norm_legit_no_training",
           "aten::_batch_norm_no_update",
           "aten::cudnn_batch_norm",
           "aten::instance_norm",
           "aten::cdist",
           "aten::_euclidean_dist",
           "aten::pdist",
           "aten::median.dim",
           "aten::nanmedian.dim",
       }) {
    checkAll(op);
  }
}

TEST_CASE("operators whose forward mode does not exist, in whatever words, have products") {
  for (const std::string op :
       {"aten::norm.Scalar", "aten::norm.ScalarOpt_dim", "aten::norm.ScalarOpt_dtype"})
    checkAll(op);
}
