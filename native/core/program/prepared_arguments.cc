#include "core/program/prepared_arguments.h"

#include <ATen/core/Tensor.h>

namespace tc {
namespace {

/// A X = B where A and B have as many axes, so that their rows meet rows: of those that have fewer,
/// libtorch's rule takes the rows for matrices of a batch (seen with libtorch 2.13).
void solve(torch::jit::Stack& arguments) {
  at::Tensor a = arguments[0].toTensor();
  at::Tensor b = arguments[1].toTensor();
  if (a.dim() < 2 || b.dim() < 1) return;  // which libtorch refuses
  const at::IntArrayRef vectors = a.sizes().slice(0, static_cast<size_t>(a.dim() - 1));
  if (b.dim() == 1 && b.size(0) == vectors.back()) b = b.expand(vectors);
  if (b.dim() > 1 && b.sizes() != vectors) {
    while (a.dim() < b.dim()) a = a.unsqueeze(0);
    while (b.dim() < a.dim()) b = b.unsqueeze(0);
  }
  arguments[0] = a;
  arguments[1] = b;
}

/// A number of a slice as a list of one: of the number by itself, the rule drops the axis.
void select(torch::jit::Stack& arguments) {
  const at::Tensor index = arguments[2].toTensor();
  if (index.dim() == 0) arguments[2] = index.unsqueeze(0);
}

const Rows<ArgumentPreparation> kRows(argumentPreparations(), {{"aten::index_select", select},
                                                               {"aten::_linalg_solve_ex", solve},
                                                               {"aten::linalg_solve", solve},
                                                               {"aten::linalg_solve_ex", solve}});

}  // namespace

Table<ArgumentPreparation>& argumentPreparations() {
  static Table<ArgumentPreparation> table("preparation");
  return table;
}

ArgumentPreparation findArgumentPreparation(const c10::OperatorHandle& op) {
  const ArgumentPreparation* found = argumentPreparations().find(op.schema().name());
  return found == nullptr ? nullptr : *found;
}

}  // namespace tc
