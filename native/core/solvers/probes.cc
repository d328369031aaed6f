#include "core/solvers/probes.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>

namespace tc {

at::Tensor Probes::rademacher() {
  const at::Tensor draw = random_.uniform({n_}, 0, 1, dtype());
  return ((draw < 0.5).to(dtype()) * 2 - 1).to(options_.device());
}

at::Tensor Probes::bounded() {
  const at::Tensor draw = random_.uniform({n_}, -1, 1, dtype());
  const at::Tensor root = (draw.abs() + 0.5).sqrt();
  return at::where(draw < 0, -root, root).to(options_.device());
}

at::Tensor Probes::normal() { return random_.normal({n_}, 0, 1, dtype()).to(options_.device()); }

}  // namespace tc
