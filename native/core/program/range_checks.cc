#include "core/program/range_checks.h"

#include <ATen/ExpandUtils.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/program/call_arguments.h"
#include "core/program/extremes.h"

namespace tc {
namespace {

bool isWhole(const at::Tensor& t) {
  return c10::isIntegralType(t.scalar_type(), /*includeBool=*/false);
}

[[noreturn]] void refuse(const CallArguments& call, const std::string& reason) {
  throw RefusedCall("ERR_INVALID_ARGUMENT", call.name() + ": " + reason);
}

/// Places from `low` to below `high`.
void requireWithin(const CallArguments& call, const at::Tensor& places, int64_t low, int64_t high) {
  if (!places.defined() || places.numel() == 0 || !isWhole(places)) return;
  const auto [least, largest] = extremes(places);
  if (least >= low && largest < high) return;
  refuse(call, "index " + std::to_string(least < low ? least : largest) +
                   " is out of range: from " + std::to_string(low) + " to below " +
                   std::to_string(high));
}

/// libtorch takes bytes for a mask, too.
bool isMaskType(at::ScalarType type) { return type == at::kBool || type == at::kByte; }

/// Lists of places along the first axes, or masks of several of them.
void lists(const CallArguments& call) {
  const at::Tensor self = call.at(0).toTensor();
  const auto indices = call.at(1).toOptionalTensorList().vec();
  // Where nothing is read or written, libtorch looks at nothing but sizes.
  for (const auto& each : indices) {
    if (each && each->defined() && each->numel() == 0) return;
  }
  int64_t axis = 0;
  for (const std::optional<at::Tensor>& each : indices) {
    const bool isMask = each && each->defined() && isMaskType(each->scalar_type());
    if (axis >= self.dim()) return;  // refused by libtorch
    if (each && !isMask && (self.numel() > 0 || self.size(axis) == 0))
      requireWithin(call, *each, -self.size(axis), self.size(axis));
    axis += isMask ? each->dim() : 1;
  }
}

/// Places along an axis.
template <bool fromEnd, bool writesNothing = false>
void along(const CallArguments& call) {
  const at::Tensor self = call.at(0).toTensor();
  const int64_t dim = call.find("dim")->toInt();
  const int64_t rank = std::max<int64_t>(1, self.dim());
  if (dim < -rank || dim >= rank) return;  // refused by libtorch
  const int64_t size = self.dim() == 0 ? 1 : self.size(dim);
  if (writesNothing && self.numel() == 0 && size > 0) return;
  requireWithin(call, call.tensor("index"), fromEnd ? -size : 0, size);
}

/// Places among all elements: those along an axis are taken modulo its size.
void alongAll(const CallArguments& call) {
  if (call.find("dim")->isNone())
    requireWithin(call, call.tensor("indices"), 0, call.at(0).toTensor().numel());
}

void elements(const CallArguments& call) {
  const int64_t count = call.at(0).toTensor().numel();
  requireWithin(call, call.at(1).toTensor(), -count, count);
}

void table(const CallArguments& call) {
  const at::Tensor weight = call.at(0).toTensor();
  if (weight.dim() == 2) requireWithin(call, call.at(1).toTensor(), 0, weight.size(0));
}

void oneHot(const CallArguments& call) {
  const int64_t classes = call.at(1).toInt();
  constexpr int64_t kMost = int64_t{1} << 31;
  requireWithin(call, call.at(0).toTensor(), 0, classes < 0 ? kMost : classes);
}

/// Classes of scores [N, C, …] or [C], but for one that is ignored.
void classes(const CallArguments& call) {
  const at::Tensor scores = call.at(0).toTensor();
  const at::Tensor target = call.at(1).toTensor();
  if (scores.dim() == 0 || !isWhole(target) || target.numel() == 0) return;
  const int64_t ignored = call.find("ignore_index")->toInt();
  const int64_t count = scores.size(scores.dim() == 1 ? 0 : 1);
  const at::Tensor wide = target.to(at::kLong);  // bytes would be compared modulo 256
  const at::Tensor counted = wide != ignored;
  if (count == 0 && extremes(counted.to(at::kInt)).second == 0) return;
  requireWithin(call, wide.masked_fill(counted.logical_not(), 0), 0, count);
}

/// Values for the places of a mask, in order.
void maskedValues(const CallArguments& call) {
  const at::Tensor self = call.at(0).toTensor();
  const at::Tensor mask = call.at(1).toTensor();
  if (mask.scalar_type() != at::kBool || !at::are_expandable(self.sizes(), mask.sizes())) return;
  const auto shape = at::infer_size(self.sizes(), mask.sizes());
  if (c10::multiply_integers(shape) == 0) return;
  const int64_t needed = extremes(mask.expand(shape).sum()).second;
  if (needed > call.at(2).toTensor().numel())
    refuse(call, "there are fewer values than places in the mask");
}

/// Where maxima came from, in images of the size that is given.
void pixels(const CallArguments& call) {
  const std::vector<int64_t> size = call.at(2).toIntVector();
  requireWithin(call, call.at(1).toTensor(), 0, c10::multiply_integers(size));
}

/// From 0 to 1, both of the loss's arguments.
void probabilities(const CallArguments& call) {
  for (size_t i = 0; i < 2; ++i) {
    const at::Tensor p = call.at(i).toTensor();
    if (p.numel() == 0 || !p.is_floating_point()) continue;
    const at::Tensor within = (p >= 0).logical_and(p <= 1);  // no NaN is
    if (extremes(within.to(at::kInt)).first == 1) continue;
    refuse(call, std::string(i == 0 ? "probabilities" : "targets") + " should be from 0 to 1");
  }
}

Table<ArgumentCheck>& rangeChecks() {
  static Table<ArgumentCheck> table("range check");
  return table;
}

const Rows<ArgumentCheck> kRows(rangeChecks(),
                                {
                                    {"aten::_unsafe_index", checked<lists>},
                                    {"aten::_unsafe_index_put", checked<lists>},
                                    {"aten::index", checked<lists>},
                                    {"aten::index_put", checked<lists>},
                                    {"aten::gather", checked<along<false>>},
                                    {"aten::index_add", checked<along<false, true>>},
                                    {"aten::index_copy", checked<along<false, true>>},
                                    {"aten::index_fill", checked<along<true, true>>},
                                    {"aten::index_reduce", checked<along<false>>},
                                    {"aten::index_select", checked<along<false>>},
                                    {"aten::scatter", checked<along<false>>},
                                    {"aten::scatter_add", checked<along<false>>},
                                    {"aten::scatter_reduce", checked<along<false>>},
                                    {"aten::take_along_dim", checked<alongAll>},
                                    {"aten::put", checked<elements>},
                                    {"aten::take", checked<elements>},
                                    {"aten::embedding", checked<table>},
                                    {"aten::one_hot", checked<oneHot>},
                                    {"aten::cross_entropy_loss", checked<classes>},
                                    {"aten::nll_loss", checked<classes>},
                                    {"aten::nll_loss2d", checked<classes>},
                                    {"aten::nll_loss2d_forward", checked<classes>},
                                    {"aten::nll_loss_forward", checked<classes>},
                                    {"aten::nll_loss_nd", checked<classes>},
                                    {"aten::masked_scatter", checked<maskedValues>},
                                    {"aten::max_unpool2d", checked<pixels>},
                                    {"aten::max_unpool3d", checked<pixels>},
                                    {"aten::binary_cross_entropy", checked<probabilities>},
                                });

}  // namespace

ArgumentCheck findRangeCheck(const c10::OperatorHandle& op) {
  const ArgumentCheck* found = rangeChecks().find(op.schema().name());
  return found == nullptr ? nullptr : *found;
}

}  // namespace tc
