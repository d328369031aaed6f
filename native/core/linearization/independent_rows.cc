#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/nan_to_num.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/linearization/autograd/kept_graph.h"
#include "core/linearization/row_work.h"
#include "core/linearization/rows.h"
#include "core/program/program.h"
#include "core/runtime/error.h"
#include "core/runtime/reason.h"
#include "core/runtime/stop.h"

namespace tc {
namespace {

/// Rows that are tried: all of a small batch, and of a larger one so many, the first and the last
/// among them. A prime, so that a shift of the rows by a round number does not come out even.
constexpr int64_t kSmallBatch = 16;
constexpr int64_t kTriedRows = 13;
/// Rows of a fixed batch are told apart by so many bits of their number.
constexpr int64_t kMostBits = 6;
/// What rounding may change, relative to a row: rows beside other ones are computed by the same
/// kernels on the same numbers, rows in another number of rows by other kernels.
constexpr double kSameKernels = 1e-9;
constexpr double kOtherKernels = 1e-6;
constexpr double kOtherGradients = 1e-4;

Error dependent(const std::string& how) {
  return Error("ERR_UNSUPPORTED_OP",
               "the rows of the model's output depend on one another (" + how +
                   "), as from a mean or a softmax over the batch, so they cannot be computed "
                   "apart; take a product of the whole batch at once: matvecOnTheFly, linearize, "
                   "jacobian, ntk, gaussNewton or hessian, without chunkSize (toDense() of these "
                   "has their diagonals)");
}

bool isFixed(const Point& point) { return fixedBatch(point) > 0; }

/// The numbers in float64.
at::Tensor wide(const at::Tensor& tensor) {
  return tensor.is_floating_point() ? tensor.detach().to(at::kDouble) : tensor;
}

/// The inputs for some rows of the point, in float64: those of a fixed batch, or all of them, where
/// none are told.
std::vector<at::Tensor> inputsOf(const Point& point, const std::vector<int64_t>& chosen) {
  const int64_t batch = isFixed(point) ? fixedBatch(point) : point.batch();
  std::vector<at::Tensor> some = point.inputs;
  for (size_t i = 0; i < some.size(); ++i) {
    at::Tensor& input = some[i];
    if (point.hasRows(i)) {
      input = chosen.empty()
                  ? input.narrow(0, 0, batch)
                  : input.index_select(0, at::tensor(chosen, input.options().dtype(at::kLong)));
    }
    input = wide(input).contiguous();
  }
  return some;
}

/// The point with those rows alone, in float64.
Point rowsOf(const Point& point, const std::vector<int64_t>& chosen) {
  Point some = point;
  some.params = wide(point.params);
  for (at::Tensor& constant : some.constants) constant = wide(constant);
  some.inputs = inputsOf(point, chosen);
  return some;
}

/// The numbers of `count` rows of so many, the first and the last among them.
std::vector<int64_t> spread(int64_t count, int64_t rows) {
  std::vector<int64_t> chosen;
  chosen.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) chosen.push_back(i * (rows - 1) / (count - 1));
  return chosen;
}

/// Some rows of a large batch. Those that are largest in some input are among them, as what depends
/// on the largest or on a norm may be of them alone.
std::vector<int64_t> chosenRows(const Point& point) {
  std::set<int64_t> chosen{0, point.batch() - 1};
  for (size_t i = 0; i < point.inputs.size() && chosen.size() < kSmallBatch / 2; ++i) {
    const at::Tensor& input = point.inputs[i];
    if (!point.hasRows(i) || !input.is_floating_point() || input.numel() == 0) continue;
    const at::Tensor sizes = at::nan_to_num(input.detach(), 0, 0, 0).abs();
    chosen.insert(sizes.reshape({input.size(0), -1}).amax(1).argmax().item<int64_t>());
  }
  // Evenly spaced ones, and whatever is missing then: there are some that are both.
  for (const int64_t row : spread(kTriedRows, point.batch())) {
    if (chosen.size() < kTriedRows) chosen.insert(row);
  }
  for (int64_t row = 1; chosen.size() < kTriedRows && row < point.batch(); ++row)
    chosen.insert(row);
  return {chosen.begin(), chosen.end()};
}

/// The rows that are tried: nothing for all of them.
std::vector<int64_t> triedRows(const Point& point) {
  if (isFixed(point) || point.batch() <= kSmallBatch) return {};
  return chosenRows(point);
}

/// What the model makes of some rows: one line of numbers for each.
at::Tensor outputs(const Point& point) {
  const c10::NoGradGuard noGradients;
  const at::Tensor y =
      point.program->run(point.program->unflatten(point.params), point.inputs, point.constants);
  requireBatchFirst(y, point.batch());
  return y.to(at::kDouble).reshape({point.batch(), y.numel() / point.batch()});
}

/// Whether lines of numbers are the same within `tolerance`, relative to the largest of each line.
bool same(const at::Tensor& expected, const at::Tensor& actual, double tolerance) {
  if (expected.sizes() != actual.sizes()) return false;
  if (expected.numel() == 0 || at::equal(expected, actual)) return true;
  const at::Tensor sizes = at::where(expected.isfinite(), expected.abs(), at::zeros_like(expected));
  const at::Tensor largest = sizes.amax(1, /*keepdim=*/true);
  const at::Tensor allowed = (largest + largest.max() * 1e-5) * tolerance;
  const at::Tensor alike = (expected == actual)
                               .logical_or(expected.isnan().logical_and(actual.isnan()))
                               .logical_or((expected - actual).abs() <= allowed);
  return alike.all().item<bool>();
}

/// Which of the derivatives ∂⟨y, u⟩/∂θ.
struct Asked {
  std::optional<at::Tensor> kept = {};  ///< the rows where u is not zero; all of them
  int64_t first = 0;                    ///< the number of the first row in u
  bool second = false;                  ///< its derivative along some v in its place
};

/// ∂⟨y, u⟩/∂θ as asked, flat, for some u; nothing where the model has no such derivative.
std::optional<at::Tensor> gradient(const Point& point, const Asked& asked) {
  try {
    const at::AutoGradMode recorded(true);
    const DifferentiableKernels kernels(*point.program);
    const std::vector<at::Tensor> leaves = leavesAt(point);
    if (leaves.empty()) return {};
    const at::Tensor y = point.program->run(leaves, point.inputs, point.constants);
    if (!y.requires_grad() || y.numel() == 0) return {};
    makeInterruptible({edgeOf(y)});
    const int64_t begin = asked.first * (y.numel() / point.batch());
    const at::Tensor some =
        at::arange(begin, begin + y.numel(), y.options().requires_grad(false)) * 1.7;
    const at::Tensor wave = some.cos().view(y.sizes());
    at::Tensor u = wave;
    if (asked.kept) {
      u = at::zeros_like(y.detach(), at::MemoryFormat::Contiguous);
      u.index_copy_(0, *asked.kept, wave.index_select(0, *asked.kept));
    }
    const auto flat = [&](const std::vector<at::Tensor>& parts) {
      return flattened(parts, leaves, point.params.numel(), point.params.options());
    };
    const auto slopes = torch::autograd::grad({y}, leaves, {u}, /*retain_graph=*/asked.second,
                                              /*create_graph=*/asked.second, /*allow_unused=*/true);
    if (!asked.second) return flat(slopes);
    at::Tensor along;
    for (const at::Tensor& slope : slopes) {
      if (!slope.defined() || !slope.requires_grad()) continue;
      const at::Tensor v = at::arange(1, slope.numel() + 1, point.params.options()).mul(1.3).sin();
      const at::Tensor term = slope.reshape({-1}).dot(v);
      along = along.defined() ? along + term : term;
    }
    if (!along.defined()) return at::zeros_like(point.params);
    return flat(torch::autograd::grad({along}, leaves, {}, /*retain_graph=*/false,
                                      /*create_graph=*/false, /*allow_unused=*/true));
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::exception&) {
    StopScope::poll();
    return {};
  }
}

/// Numbers that are not finite in either say nothing: a zero cotangent meets an infinite
/// derivative.
bool sameGradient(const at::Tensor& expected, const at::Tensor& actual, double tolerance) {
  const at::Tensor known = expected.isfinite().logical_and(actual.isfinite());
  const at::Tensor zeros = at::zeros_like(expected);
  return same(at::where(known, expected, zeros).unsqueeze(0),
              at::where(known, actual, zeros).unsqueeze(0), tolerance);
}

/// Other numbers in some rows.
class Replacement {
 public:
  /// Of `rows` rows, those whose number has `bit` set, or those that have not.
  Replacement(int64_t rows, int64_t bit, bool set, const at::TensorOptions& options) {
    std::vector<int64_t> from;
    std::vector<int64_t> kept;
    std::vector<int64_t> replaced;
    for (int64_t row = 0; row < rows; ++row) {
      const bool has = (row & bit) != 0;
      (has == set ? replaced : kept).push_back(row);
      const int64_t other = row ^ bit;
      from.push_back(has != set ? row : other < rows ? other : bit);
    }
    const auto indices = options.dtype(at::kLong);
    from_ = at::tensor(from, indices);
    kept_ = at::tensor(kept, indices);
    replaced_ = at::tensor(replaced, indices);
  }

  const at::Tensor& kept() const { return kept_; }

  /// `point` with the rows of others in place of those that are replaced. Where all rows are the
  /// same, with numbers near them: nothing where the model does not take those.
  std::vector<at::Tensor> inputs(const Point& point) const {
    std::vector<at::Tensor> result;
    bool changed = false;
    for (size_t i = 0; i < point.inputs.size(); ++i) {
      const at::Tensor& input = point.inputs[i];
      result.push_back(point.hasRows(i) ? input.index_select(0, from_) : input);
      changed = changed || !at::equal(result.back(), input);
    }
    if (changed) return result;
    for (size_t i = 0; i < result.size(); ++i) {
      if (point.hasRows(i)) result[i].index_copy_(0, replaced_, near(result[i]));
    }
    return result;
  }

 private:
  at::Tensor near(const at::Tensor& input) const {
    const at::Tensor rows = input.index_select(0, replaced_);
    if (!input.is_floating_point() || rows.numel() == 0) return at::zeros_like(rows);
    const at::Tensor wave = at::arange(rows.numel(), rows.options()).add(1).mul(2.3).sin();
    const at::Tensor largest = rows.abs().max();
    const at::Tensor scale = at::where(largest > 0, largest, largest + 1) * 0.3;
    return rows + wave.view(rows.sizes()) * scale;
  }

  at::Tensor from_;
  at::Tensor kept_;
  at::Tensor replaced_;
};

Error notOnSome(const std::exception& error) {
  return dependent("the model does not run on some of them: " + reasonOf(error));
}

at::Tensor outputsOfPart(const Point& part) {
  try {
    const c10::NoGradGuard noGradients;
    return part.program->run(part.program->unflatten(part.params), part.inputs, part.constants);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::exception& error) {
    StopScope::poll();
    throw notOnSome(error);
  }
}

/// Ways to cut rows: in two parts; all but the first, whose number and places change from even to
/// odd or back; the first and the last by itself.
std::vector<std::pair<int64_t, int64_t>> partsOf(int64_t rows) {
  return {{0, rows / 2}, {rows / 2, rows}, {1, rows}, {0, 1}, {rows - 1, rows}};
}

/// Computes the rows in parts.
void compareParts(const Point& some, const at::Tensor& together) {
  for (const auto& [begin, end] : partsOf(some.batch())) {
    Point part = some;
    part.inputs = tc::rows(some, begin, end);
    at::Tensor y;
    try {
      y = outputsOfPart(part);
    } catch (const Error&) {
      // A single row may be none of the model's: where it is needed it says so itself.
      if (end - begin > 1) throw;
      continue;
    }
    const at::Tensor expected = together.narrow(0, begin, end - begin);
    // A single row may have lost its axis.
    if (y.numel() != expected.numel() ||
        !same(expected, y.to(at::kDouble).reshape(expected.sizes()), kOtherKernels))
      throw dependent("they change with the number of rows beside them");
  }
}

/// Parameters a little off, where nothing is 0, 1 or a tie by accident: of a parameter for each row
/// that begins as zeros, values do not tell that rows are told apart.
Point nearby(const Point& some) {
  constexpr double kStep = 1e-3;
  Point other = some;
  const at::Tensor largest = some.params.numel() > 0 ? some.params.abs().max() : some.params.sum();
  const double scale = largest.item<double>() > 0 ? largest.item<double>() : 1;
  std::vector<at::Tensor> moved;
  double phase = 0;
  for (const at::Tensor& parameter : some.program->unflatten(some.params)) {
    const double size = parameter.numel() > 0 ? parameter.abs().max().item<double>() : 0;
    const at::Tensor wave = at::arange(parameter.numel(), some.params.options());
    moved.push_back(parameter.reshape({-1}) +
                    (wave * 2.3 + phase++).sin() * (kStep * (size > 0 ? size : scale)));
  }
  if (!moved.empty()) other.params = at::cat(moved);
  return other;
}

/// The rows in parts at other parameters, where their gradients are compared, too: rounding may
/// break a tie otherwise in another number of rows, but not there.
void compareNearby(const Point& some) {
  const Point other = nearby(some);
  at::Tensor together;
  try {
    together = outputs(other);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::exception&) {
    StopScope::poll();
    return;  // no legal parameters of the model
  }
  compareParts(other, together);
  for (const auto& [begin, end] : partsOf(other.batch())) {
    Point part = other;
    part.inputs = tc::rows(other, begin, end);
    const auto alone = gradient(part, {.first = begin});
    if (!alone) continue;
    const auto beside =
        gradient(other, {.kept = at::arange(begin, end, other.params.options().dtype(at::kLong))});
    if (beside && !sameGradient(*beside, *alone, kOtherGradients))
      throw dependent("the gradients of some change with the number of rows beside them");
  }
}

/// The tried rows of `some` among all rows of `point`, or among as many as are computed at once.
void compareAmongAll(const Point& point, const Point& some, const std::vector<int64_t>& chosen,
                     const at::Tensor& together) {
  if (chosen.empty()) return;
  const int64_t most = std::clamp<int64_t>(rowsWithinWork(point), kSmallBatch, point.batch());
  const std::vector<int64_t> others = spread(most, point.batch());
  std::set<int64_t> all(chosen.begin(), chosen.end());
  all.insert(others.begin(), others.end());
  Point whole = some;
  whole.inputs = inputsOf(point, {all.begin(), all.end()});
  std::vector<int64_t> places;
  places.reserve(chosen.size());
  for (const int64_t row : chosen) places.push_back(std::distance(all.begin(), all.find(row)));
  const at::Tensor among = outputs(whole);
  const at::Tensor rowsAmong =
      among.index_select(0, at::tensor(places, among.options().dtype(at::kLong)));
  if (!same(together, rowsAmong, kOtherKernels))
    throw dependent("they change with the rows beside them");
}

/// Calls body(bit, rows kept, point) with `some` where other rows are in place of those whose
/// number has a bit, and of those that have it not, for every bit.
template <typename Body>
void forEachReplacement(const Point& some, const StopToken& stop, Body&& body) {
  const int64_t rows = some.batch();
  int64_t bits = 0;
  while ((int64_t{1} << bits) < rows) ++bits;
  for (int64_t bit = 0; bit < std::min(bits, kMostBits); ++bit) {
    for (const bool set : {true, false}) {
      stop.poll();
      const Replacement replacement(rows, int64_t{1} << bit, set, some.params.options());
      Point other = some;
      other.inputs = replacement.inputs(some);
      body(bit, replacement.kept(), other);
    }
  }
}

void compareBesideOthers(const Point& some, const at::Tensor& together, const StopToken& stop) {
  forEachReplacement(some, stop, [&](int64_t bit, const at::Tensor& kept, const Point& other) {
    at::Tensor beside;
    try {
      beside = outputs(other);
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const c10::Error&) {
      return;  // not a legal input of the model
    }
    if (!same(together.index_select(0, kept), beside.index_select(0, kept), kSameKernels))
      throw dependent("some change when others are replaced");
    // A dependence that only derivatives have shows in parts, where rows can be cut apart.
    if (bit > 0 && !isFixed(some)) return;
    const auto before = gradient(some, {.kept = kept});
    const auto after = before ? gradient(other, {.kept = kept}) : std::nullopt;
    if (after && !sameGradient(*before, *after, kSameKernels))
      throw dependent("the gradients of some change when others are replaced");
  });
}

/// The first block of a program for a fixed batch, `some`, with other rows of the batch beside its
/// first one: those that are tried of a batch of any size.
void compareBesideOtherBlocks(const Point& point, const Point& some, const at::Tensor& together) {
  const int64_t unit = some.batch();
  const std::vector<int64_t> others = chosenRows(point);
  for (size_t next = 0; next < others.size();) {
    std::vector<int64_t> rows{0};
    while (std::ssize(rows) < unit) rows.push_back(others[std::min(next++, others.size() - 1)]);
    if (!same(together.narrow(0, 0, 1), outputs(rowsOf(point, rows)).narrow(0, 0, 1), kSameKernels))
      throw dependent("some change when others are replaced");
  }
}

/// Throws Error where a call of the model's is refused once gradients flow, such as one that writes
/// to one place twice: its numbers change from run to run, and with them the rows.
void requireDefined(const Point& point) {
  const at::AutoGradMode recorded(true);
  const DifferentiableKernels kernels(*point.program);
  point.program->run(leavesAt(point), point.inputs, point.constants);
}

}  // namespace

void requireIndependentRows(const Point& point, const StopToken& stop) {
  requireWholeUnits(point);
  const int64_t beside = isFixed(point) ? fixedBatch(point) : point.batch();
  if (point.batch() < 2 || beside < 2 || hasSeparateRows(point)) return;
  tryIndependentRows(point, stop);
}

void tryIndependentRows(const Point& point, const StopToken& stop) {
  const StopScope scope(stop);
  const std::vector<int64_t> chosen = triedRows(point);
  const Point some = rowsOf(point, chosen);
  at::Tensor together;
  try {
    together = outputs(some);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::exception& error) {
    StopScope::poll();
    if (isFixed(point) || some.batch() == point.batch()) throw;
    outputs(point);  // throws where the inputs do not fit the model at all
    throw notOnSome(error);
  }
  try {
    if (!isFixed(point)) {
      compareParts(some, together);
      compareAmongAll(point, some, chosen, together);
      compareNearby(some);
    }
    compareBesideOthers(some, together, stop);
    if (isFixed(point) && point.batch() > some.batch())
      compareBesideOtherBlocks(point, some, together);
  } catch (const Error&) {
    StopScope::poll();
    requireDefined(some);
    throw;
  }
}

void requireIndependentSecondDerivatives(const Point& point, const StopToken& stop) {
  if (point.batch() < 2 || hasSeparateRows(point)) return;
  const StopScope scope(stop);
  const Point some = rowsOf(point, triedRows(point));
  if (some.batch() < 2) return;
  forEachReplacement(some, stop, [&](int64_t, const at::Tensor& kept, const Point& other) {
    const Asked asked{.kept = kept, .second = true};
    const auto before = gradient(some, asked);
    const auto after = before ? gradient(other, asked) : std::nullopt;
    if (after && !sameGradient(*before, *after, kSameKernels))
      throw dependent("the second derivatives of some change when others are replaced");
  });
}

}  // namespace tc
