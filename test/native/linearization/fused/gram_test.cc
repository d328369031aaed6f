#include "core/linearization/fused/gram.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <doctest/doctest.h>

#include "core/kernels/kernels.h"
#include "core/runtime/error.h"
#include "fused_programs.h"

namespace tc::testing {

TEST_CASE("the upper triangle of JᵀJ is that of a general product") {
  using fused::Isa;
  const Isa before = fused::activeIsa();
  const int threads = at::get_num_threads();
  at::manual_seed(1);
  for (const Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
    if (!fused::forceIsa(isa)) continue;
    for (const auto dtype : {at::kFloat, at::kDouble}) {
      for (const int64_t columns : {1, 5, 64, 385, 801}) {
        for (const int64_t rows : {0, 1, 130, 1100}) {
          CAPTURE(static_cast<int>(isa));
          CAPTURE(columns);
          CAPTURE(rows);
          const at::Tensor wide = at::randn({rows, columns + 3}, dtype);
          const at::Tensor jacobian = wide.narrow(1, 2, columns);
          const at::Tensor start = at::randn({columns, columns}, dtype);
          const at::Tensor exact =
              start.to(at::kDouble) + jacobian.t().to(at::kDouble).mm(jacobian.to(at::kDouble));
          at::Tensor first;
          for (const int workers : {1, 2}) {
            at::set_num_threads(workers);
            const at::Tensor gram = start.clone();
            fused::addGramUpper(jacobian, gram, StopToken());
            const double tolerance = dtype == at::kFloat ? 1e-6 : 1e-14;
            CHECK(relativeError(gram.triu(), exact.triu()) <= tolerance);
            CHECK(at::equal(gram.tril(-1), start.tril(-1)));
            const at::Tensor v = at::randn({columns}, dtype);
            const at::Tensor symmetric = exact.triu() + exact.triu(1).t();
            CHECK(relativeError(fused::symmetricMatvec(gram, v, StopToken()),
                                symmetric.mv(v.to(at::kDouble))) <= 10 * tolerance);
            if (first.defined()) CHECK(at::equal(gram, first));
            first = gram;
          }
        }
      }
    }
  }
  at::set_num_threads(threads);
  fused::forceIsa(before);
}

TEST_CASE("a stop ends the computation of JᵀJ") {
  const StopToken stop;
  stop.request();
  CHECK_THROWS_AS(fused::addGramUpper(at::ones({4, 4}), at::zeros({4, 4}), stop), Error);
}

}  // namespace tc::testing
