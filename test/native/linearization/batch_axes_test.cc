// What the rules of BatchAxes say of the rows is so, for every operator that models may consist of:
// of other rows, the result is that of other rows.

#include "core/linearization/batch_axes.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "counts.h"
#include "drawn_calls.h"
#include "known_calls.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;
using namespace tc::test;

namespace {

constexpr int64_t kMore = DrawnCall::kRows;
constexpr int64_t kFew = 5;

/// The rows of these numbers, in their order.
at::Tensor rowsOf(const at::Tensor& value, const RowAxis& place,
                  const std::vector<int64_t>& numbers) {
  const int64_t rows = value.size(place.axis) / (place.outer * place.inner);
  return value.unflatten(place.axis, {place.outer, rows, place.inner})
      .index_select(place.axis + 1, at::tensor(numbers, at::kLong))
      .flatten(place.axis, place.axis + 2);
}

/// The values after a call of the rows of these numbers; each result's place where one is known.
std::vector<at::Tensor> run(const DrawnCall& call, const std::vector<int64_t>& numbers,
                            std::vector<RowAxis>& found) {
  std::vector<at::Tensor> all;
  for (size_t i = 0; i < call.values.size(); ++i) {
    const RowAxis& place = call.places[i];
    all.push_back(place.axis < 0 ? call.values[i] : rowsOf(call.values[i], place, numbers));
  }
  BatchAxes axes(call.places, static_cast<int64_t>(numbers.size()));
  const at::Tensor leading = at::zeros({}, at::kDouble);
  Program::call(
      call.node, leading, all,
      [&](const Program::Node& node, const torch::jit::Stack& arguments,
          const std::vector<at::Tensor>& after) { axes.observe(node, arguments, after); });
  const size_t before = call.values.size();
  for (size_t i = before; i < all.size(); ++i) found.push_back(axes.of(static_cast<int64_t>(i)));
  return {all.begin() + static_cast<std::ptrdiff_t>(before), all.end()};
}

/// How often the rules knew where the rows of a result are.
int64_t checkRule(const std::optional<DrawnCall>& call) {
  if (!call) return 0;
  const c10::FunctionSchema& schema = call->node.op.schema();
  std::vector<int64_t> all(kMore);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  std::vector<RowAxis> places;
  std::vector<at::Tensor> results;
  try {
    results = run(*call, all, places);
  } catch (const std::exception&) {
    return 0;  // the operator does not take them
  }
  int64_t known = 0;
  const std::vector<int64_t> others[] = {{3, 0, 6, 6, 2, 5, 1}, {4, 2, 0, 6, 1}};
  for (size_t i = 0; i < results.size(); ++i) {
    if (places[i].axis < 0) continue;
    ++known;
    for (const std::vector<int64_t>& numbers : others) {
      std::vector<RowAxis> again;
      std::vector<at::Tensor> found;
      try {
        found = run(*call, numbers, again);
      } catch (const std::exception& error) {
        // What two numbers of rows do not agree on is not known.
        if (numbers.size() == kMore) FAIL_CHECK(schema.name() << call->text << error.what());
        continue;
      }
      if (again[i] != places[i]) {
        CHECK_MESSAGE(numbers.size() == kFew, schema.name() << call->text);
        continue;
      }
      CHECK_MESSAGE(
          sameNumbers(found[i], rowsOf(results[i], places[i], numbers)),
          schema.name() << '.' << schema.overload_name() << call->text << " result " << i);
    }
  }
  return known;
}

}  // namespace

TEST_CASE("what is known of rows is so, for every operator and arguments drawn at random") {
  const uint64_t trials = byCounts<uint64_t>(60, 500);
  std::set<std::string> known;
  for (const c10::OperatorHandle& op : operatorsOfModels()) {
    for (uint64_t seed = 1; seed <= trials; ++seed) {
      if (checkRule(drawCall(op, seed)) > 0) known.insert(op.schema().name());
    }
  }
  std::string names;
  for (const std::string& each : known) names += " " + each.substr(each.rfind(':') + 1);
  CAPTURE(names);
  CHECK(known.size() > 150);
}

TEST_CASE("and for calls that PyTorch's tests make, changed a little") {
  const uint64_t trials = byCounts<uint64_t>(4, 40);
  std::set<std::string> known;
  for (const c10::OperatorHandle& op : operatorsOfModels()) {
    for (size_t which = 0; which < knownCalls(op); ++which) {
      for (uint64_t seed = 1; seed <= trials; ++seed) {
        const int64_t changes = seed % 2 == 0 ? 0 : 2;
        if (checkRule(knownCall(op, which, {changes, false, /*rows=*/true}, seed)) > 0)
          known.insert(op.schema().name());
      }
    }
  }
  std::string names;
  for (const std::string& each : known) names += " " + each.substr(each.rfind(':') + 1);
  CAPTURE(names);
  CHECK(known.size() > 250);
}
