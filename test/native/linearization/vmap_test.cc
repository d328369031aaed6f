// Rows that are kept apart by functorch's vmap, as for Jacobians of rows, are what the same rows
// give by themselves, for every operator that models may consist of.

#include <ATen/ATen.h>
#include <ATen/functorch/BatchedTensorImpl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/linearization/autograd/autograd.h"
#include "core/linearization/autograd/transform_level.h"
#include "core/linearization/chunked.h"
#include "core/operators/gramian.h"
#include "counts.h"
#include "drawn_calls.h"
#include "known_calls.h"
#include "models.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;
namespace functorch = at::functorch;

namespace {

/// The results of a call on these values.
std::vector<at::Tensor> resultsOf(const DrawnCall& call, std::vector<at::Tensor> values) {
  const auto before = static_cast<std::ptrdiff_t>(values.size());
  Program::call(call.node, at::zeros({}, at::kDouble), values);
  return {values.begin() + before, values.end()};
}

/// `rows` tensors like this one, with other numbers.
at::Tensor rowsLike(const at::Tensor& value, int64_t rows) {
  std::vector<at::Tensor> each;
  for (int64_t row = 0; row < rows; ++row) {
    if (value.is_floating_point() || value.is_complex()) {
      each.push_back(at::randn_like(value));
    } else {
      const at::Tensor order = at::randperm(value.numel());
      each.push_back(value.reshape({-1}).index_select(0, order).view(value.sizes()));
    }
  }
  return at::stack(each);
}

/// The results with the rows in front.
std::vector<at::Tensor> together(const DrawnCall& call, const std::vector<at::Tensor>& values,
                                 const std::vector<bool>& chosen, int64_t rows) {
  const TransformLevel vmap(TransformLevel::Kind::kVmap, rows);
  std::vector<at::Tensor> batched = values;
  for (size_t i = 0; i < values.size(); ++i) {
    if (chosen[i]) batched[i] = functorch::makeBatched(values[i], 0, vmap.level());
  }
  std::vector<at::Tensor> found;
  for (const at::Tensor& each : resultsOf(call, std::move(batched))) {
    const auto* rowsOf = each.defined() ? functorch::maybeGetBatchedImpl(each) : nullptr;
    if (rowsOf == nullptr) {
      std::vector<int64_t> sizes{rows};
      if (each.defined()) sizes.insert(sizes.end(), each.sizes().begin(), each.sizes().end());
      found.push_back(each.defined() ? each.expand(sizes) : each);
    } else {
      found.push_back(rowsOf->value().movedim(rowsOf->bdim(), 0));
    }
  }
  return found;
}

/// Whether there was something to compare. With `leading` each row has an axis of one more.
bool checkRows(const DrawnCall& call, uint64_t subset, int64_t rows, bool leading) {
  std::vector<at::Tensor> values = call.values;
  std::vector<bool> chosen(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    chosen[i] = (subset >> i & 1) != 0;
    if (!chosen[i]) continue;
    values[i] = rowsLike(values[i], rows);
    if (leading) values[i] = values[i].unsqueeze(1);
  }
  std::vector<std::vector<at::Tensor>> apart;
  std::vector<at::Tensor> found;
  try {
    for (int64_t row = 0; row < rows; ++row) {
      std::vector<at::Tensor> one = values;
      for (size_t i = 0; i < values.size(); ++i) {
        if (chosen[i]) one[i] = values[i][row];
      }
      apart.push_back(resultsOf(call, std::move(one)));
    }
    found = together(call, values, chosen, rows);
  } catch (const std::exception&) {
    return false;  // the operator does not take them, or vmap does not know it
  }
  for (size_t i = 0; i < found.size(); ++i) {
    for (int64_t row = 0; row < rows; ++row) {
      const at::Tensor& expected = apart[static_cast<size_t>(row)][i];
      if (!expected.defined() || !found[i].defined()) continue;
      if (expected.numel() == 0 && found[i].numel() == 0) continue;
      CHECK_MESSAGE((found[i].size(0) == rows && sameNumbers(found[i][row], expected)),
                    call.node.op.schema().name()
                        << '.' << call.node.op.schema().overload_name() << call.text << " values "
                        << subset << (leading ? ", with an axis of one" : "") << ", result " << i);
    }
  }
  return true;
}

/// What programs do not call in that form (rewriting/), and what has no numbers of its own.
const std::set<std::string> kWithout = {
    "aten::index_fill.int_Tensor", "aten::aminmax.",    "aten::argmin.",   "aten::argmax.",
    "aten::_euclidean_dist.",      "aten::empty_like.", "aten::new_empty."};
/// Which vmap has wrong where no model has them: of no axes, of one step, or of tensors of which
/// one has an axis more than the others.
const std::set<std::string> kOdd = {"aten::all.dims",
                                    "aten::any.dims",
                                    "aten::gelu_backward.",
                                    "aten::_prelu_kernel_backward.",
                                    "aten::native_group_norm.",
                                    "aten::linear.",
                                    "aten::linspace.Scalar_Tensor"};

}  // namespace

TEST_CASE("vmap gives rows what they are by themselves, for every operator") {
  constexpr uint64_t kSubsets = 8;
  const auto trials = byCounts<uint64_t>(1, 6);
  std::set<std::string> known;
  for (const c10::OperatorHandle& op : operatorsOfModels()) {
    const auto& schema = op.schema();
    const std::string name = schema.name() + "." + schema.overload_name();
    if (kWithout.contains(name) || kOdd.contains(name)) continue;
    for (size_t which = 0; which < knownCalls(op); ++which) {
      for (uint64_t seed = 1; seed <= trials; ++seed) {
        const DrawnCall call = knownCall(op, which, {seed == 1 ? 0 : 2, false, false}, seed);
        const uint64_t all = uint64_t{1} << std::min<size_t>(call.values.size(), 6);
        for (uint64_t subset = 1; subset < std::min(all, kSubsets); ++subset) {
          for (const bool leading : {false, true}) {
            if (checkRows(call, subset, 2 + static_cast<int64_t>(subset % 2), leading))
              known.insert(schema.name());
          }
        }
      }
    }
  }
  CHECK(known.size() > 350);
}

TEST_CASE("rows of systems of equations that share a matrix") {
  Builder b;
  const auto w = b.parameter({3, 3});
  const auto x = b.call("aten::unsqueeze", {b.input(), -1.0});
  const auto y = b.call("aten::squeeze.dim", {b.call("aten::linalg_solve", {w, x}), -1.0});
  const at::Tensor params = (at::eye(3, at::kDouble) * 2 + 0.3).flatten();
  const at::Tensor inputs = randomLike(at::empty({5, 3}, at::kDouble), 1);
  const Point point{b.build(y), params, {inputs}, {}};
  const at::Tensor matrix = params.view({3, 3});
  const at::Tensor v = randomLike(params, 2);
  // ∂(W⁻¹x) = −W⁻¹ ∂W W⁻¹x
  const at::Tensor solved = at::linalg_solve(matrix, inputs.t());
  const at::Tensor slope = -at::linalg_solve(matrix, v.view({3, 3}).mm(solved)).t();
  const StopToken never;
  const auto kept = linearizeAutograd(point, never);
  CHECK(kept->jvp(v, never).allclose(slope, 1e-12));
  at::Tensor rows = at::empty({15, 9}, at::kDouble);
  kept->jacobian(0, 5, rows, never);
  CHECK(rows.mv(v).view({5, 3}).allclose(slope, 1e-12));
  const auto chunked =
      std::make_shared<ChunkedLinearization>(point, ChunkOptions{Engine::kAuto, 2}, never);
  CHECK(gramian(chunked)->diagonal(never).allclose(rows.square().sum(0), 1e-12));
}
