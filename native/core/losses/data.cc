#include "core/losses/data.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <c10/util/accumulate.h>

#include "core/runtime/error.h"

namespace tc {

Per findPer(const std::string& name) {
  if (name == "datum") return Per::kDatum;
  if (name == "row") return Per::kRow;
  throw Error("ERR_INVALID_ARGUMENT", "per should be 'datum' or 'row', got '" + name + "'");
}

DataLayout dataLayout(const Loss& loss, const at::Tensor& y, Per per) {
  const auto row = y.sizes().slice(1);
  // An output of shape [N] is one number, and one datum, for each row.
  const std::optional<int64_t> axisOfDatum =
      per == Per::kRow || row.empty() ? std::nullopt : loss.datumAxis(y);
  if (!axisOfDatum) return {1, c10::multiply_integers(row), 1};
  const auto axis = static_cast<size_t>(*axisOfDatum) - 1;
  return {c10::multiply_integers(row.slice(0, axis)), row[axis],
          c10::multiply_integers(row.slice(axis + 1))};
}

at::Tensor countData(const Loss& loss, const at::Tensor& y, const at::Tensor& target, Per per) {
  const at::Tensor counted = loss.countedData(target);
  if (!counted.defined()) {
    const DataLayout layout = dataLayout(loss, y, per);
    return at::full({y.size(0)}, layout.before * layout.after, y.options());
  }
  const at::Tensor data =
      counted.reshape({y.size(0), c10::multiply_integers(counted.sizes().slice(1))}).sum(1);
  return (per == Per::kRow ? data.gt(0) : data).to(y.scalar_type());
}

}  // namespace tc
