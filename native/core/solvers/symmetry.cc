#include "core/solvers/symmetry.h"

#include <cmath>
#include <string>

#include "core/runtime/error.h"
#include "core/runtime/precision.h"
#include "core/solvers/probes.h"
#include "core/solvers/scale.h"

namespace tc {

void requireSymmetric(const LinearOperator& a, const char* purpose, const StopToken& stop) {
  if (a.symmetric() || a.rows() < 2) return;
  Probes probes(a, /*seed=*/0);
  const at::Tensor u = probes.normal();
  const at::Tensor v = probes.normal();
  at::Tensor au = a.matvec(u, stop);
  at::Tensor av = a.matvec(v, stop);
  const int exponent = exponentOf(au);
  au = scaledBy(au, -exponent);
  av = scaledBy(av, -exponent);
  const double difference = std::abs(dotOf(u, av) - dotOf(v, au));
  const double size = normOf(u) * normOf(av) + normOf(v) * normOf(au);
  // NaN is no asymmetry: the solvers report it.
  if (!(difference > std::sqrt(epsilonOf(au)) * size)) return;
  throw Error(
      "ERR_INVALID_ARGUMENT",
      std::string(purpose) +
          " needs a symmetric operator, and this one is not: for two random vectors ⟨u, A v⟩ "
          "and ⟨v, A u⟩ differ by " +
          std::to_string(difference / size * 100) +
          " % of their size. For a least-squares problem take a Gram matrix (gramian, ntk); "
          "an operator that is symmetric but for noise passes as customOperator({ shape, "
          "dtype, symmetric: true, matmat: (vectors, k) => op.matmat(vectors, k) })");
}

}  // namespace tc
