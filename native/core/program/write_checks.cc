#include "core/program/write_checks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/util/accumulate.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/program/extremes.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// Which argument has the values, or -1 where a call adds them up.
int64_t valuesOf(std::string_view name, const torch::jit::Stack& call) {
  const auto accumulates = [&](size_t position) { return call[position].toBool(); };
  if (name == "aten::index_put" || name == "aten::_unsafe_index_put")
    return accumulates(3) ? -1 : 2;
  if (name == "aten::put") return accumulates(3) ? -1 : 2;
  if (name.starts_with("aten::max_unpool")) return 0;
  return 3;  // of scatter and index_copy; a number in some overloads
}

/// How often each place is written.
at::Tensor writes(std::string_view name, const torch::jit::Stack& call) {
  const at::Tensor self = call[0].toTensor();
  const auto options = self.options().dtype(at::kInt);
  const auto none = [&] { return at::zeros(self.sizes(), options); };
  const auto one = [&](at::IntArrayRef sizes) { return at::ones(sizes, options); };
  if (name == "aten::index_put" || name == "aten::_unsafe_index_put")
    return none().index_put(call[1].toOptionalTensorList(), one({}), true);
  if (name == "aten::put") {
    const at::Tensor index = call[1].toTensor();
    return none().put(index, one(index.sizes()), true);
  }
  if (name.starts_with("aten::max_unpool")) {
    const std::vector<int64_t> pixels = call[2].toIntVector();
    const at::Tensor index = call[1].toTensor().flatten(-static_cast<int64_t>(pixels.size()));
    std::vector<int64_t> sizes = index.sizes().vec();
    sizes.back() = c10::multiply_integers(pixels);
    return at::zeros(sizes, options).scatter_add(-1, index, one(index.sizes()));
  }
  const int64_t axis = call[1].toInt();
  const at::Tensor index = call[2].toTensor();
  if (name == "aten::scatter") return none().scatter_add(axis, index, one(index.sizes()));
  const at::Tensor count = at::zeros({self.dim() == 0 ? 1 : self.size(axis)}, options);
  return count.index_add(0, index.reshape({-1}), one({index.numel()}));
}

}  // namespace

void requireSingleWrites(const c10::FunctionSchema& schema, const torch::jit::Stack& arguments) {
  const std::string_view name = schema.name();
  const int64_t place = valuesOf(name, arguments);
  if (place < 0) return;
  const c10::IValue& values = arguments[static_cast<size_t>(place)];
  if (!values.isTensor() || !values.toTensor().requires_grad()) return;
  const at::Tensor counts = writes(name, arguments);
  if (counts.numel() == 0 || extremes(counts).second <= 1) return;
  throw Error("ERR_UNSUPPORTED_OP",
              schema.name() +
                  " writes to one place twice: which value stays is not defined, and libtorch's "
                  "gradient flows into both. Make the indices differ, or add up what goes to one "
                  "place: index_add, scatter_add, index_put with accumulate=True");
}

}  // namespace tc
