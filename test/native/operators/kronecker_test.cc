#include "core/operators/kfac/kronecker.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <cmath>
#include <limits>
#include <string_view>

#include "code_of.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

namespace {

/// Stops an operation while it finds the eigenvectors of the n-th factor of a matrix.
class StopAtFactor {
 public:
  explicit StopAtFactor(int n) {
    left_ = n;
    token_ = StopToken();
    handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(begin));
  }
  ~StopAtFactor() { at::removeCallback(handle_); }
  StopAtFactor(const StopAtFactor&) = delete;
  StopAtFactor& operator=(const StopAtFactor&) = delete;

  static const StopToken& token() { return token_; }

 private:
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    if (std::string_view(function.name()) == "aten::linalg_eigh" && --left_ == 0) token_.request();
    return nullptr;
  }

  at::CallbackHandle handle_;
  // Callbacks of libtorch's are plain functions.
  static inline int left_ = 0;
  static inline StopToken token_;
};

Factor randomFactor(int64_t size, at::Generator& random) {
  const at::Tensor root = at::randn({1, size, size}, random, at::kDouble);
  return Factor::full(root.matmul(root.mT()) + 0.1 * at::eye(size, at::kDouble));
}

/// Three layers without a bias, of different shapes.
KroneckerPtr threeLayers() {
  auto random = at::detail::createCPUGenerator(/*seed_val=*/7);
  std::vector<KroneckerBlock> blocks;
  int64_t length = 0;
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{2, 3}, {3, 2}, {4, 1}}) {
    Block block;
    block.rows = rows;
    block.cols = cols;
    block.weight = length;
    block.layer = true;
    length += rows * cols;
    blocks.push_back({block, randomFactor(cols, random), randomFactor(rows, random)});
  }
  return kroneckerOperator(std::move(blocks), length, at::kDouble);
}

at::Tensor dense(const LinearOperator& a) {
  return a.matmat(at::eye(a.cols(), a.options()), StopToken());
}

}  // namespace

TEST_CASE("an inverse is right after one that was stopped, wherever that was") {
  for (const Damping method : {Damping::kExact, Damping::kHeuristic, Damping::kPi}) {
    const at::Tensor expected = dense(*threeLayers()->inverse(0.3, method, StopToken()));
    for (int factor = 1; factor <= 5; ++factor) {  // nothing is left to stop after the sixth
      CAPTURE(factor);
      const KroneckerPtr matrix = threeLayers();
      {
        const StopAtFactor stop(factor);
        CHECK(test::codeOf([&] { matrix->inverse(0.3, method, stop.token()); }) == "ABORTED");
      }
      CHECK(at::equal(dense(*matrix->inverse(0.3, method, StopToken())), expected));
    }
  }
}

TEST_CASE("estimated eigenvalues within rounding of 0 are 0 where nothing damps them") {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    const auto made = [&](double smallest, bool estimated) {
      Block block;
      block.rows = 2;
      block.cols = 3;
      block.layer = true;
      const at::Tensor values = at::tensor({4.0, 3.0, smallest, 2.0, 1.0, 0.5}, dtype);
      // The factors are singular where the smallest is.
      const at::Tensor singular = estimated ? (values == smallest).view({1, 2, 3}) : at::Tensor();
      return eigenOperator({{block, {}, {}, values.view({1, 2, 3}), singular}}, 6,
                           values.options());
    };
    const double epsilon = dtype == at::kDouble ? 0x1p-52 : 0x1p-23;
    // 3 rows, relative to 4.
    const double within = 3 * 4 * epsilon * 0.9;
    const double beyond = 3 * 4 * epsilon * 1.1;
    for (const double smallest : {0.0, within, -within, 1e-33}) {
      const KroneckerPtr singular = made(smallest, /*estimated=*/true);
      CHECK(test::codeOf([&] { singular->inverse(0, Damping::kExact, StopToken()); }) ==
            "ERR_INVALID_ARGUMENT");
      CHECK(singular->logdet(0, StopToken()) == -std::numeric_limits<double>::infinity());
      // With damping, what the value is counts.
      const KroneckerPtr exact = made(smallest, /*estimated=*/false);
      CHECK(singular->logdet(1e-3, StopToken()) == exact->logdet(1e-3, StopToken()));
      CHECK(at::equal(dense(*singular->inverse(1e-3, Damping::kExact, StopToken())),
                      dense(*exact->inverse(1e-3, Damping::kExact, StopToken()))));
      // Chunks that are added up are together what they were alone.
      const KroneckerPtr both = singular->joined(*made(0, /*estimated=*/false));
      CHECK(both->logdet(0, StopToken()) == -std::numeric_limits<double>::infinity());
    }
    for (const bool estimated : {false, true}) {
      const KroneckerPtr regular = made(beyond, estimated);
      CHECK(std::isfinite(regular->logdet(0, StopToken())));
      // The small eigenvalues of an inverse are not rounding.
      const KroneckerPtr inverse = regular->inverse(0, Damping::kExact, StopToken());
      const KroneckerPtr back = inverse->inverse(0, Damping::kExact, StopToken());
      CHECK(at::allclose(dense(*back), dense(*regular), 1e-5, 0));
    }
    CHECK(std::isfinite(made(1e-33, /*estimated=*/false)->logdet(0, StopToken())));
  }
}

TEST_CASE("small estimated eigenvalues of factors that are regular count") {
  Block block;
  block.rows = 1;
  block.cols = 3;
  block.layer = true;
  const at::Tensor values = at::tensor({1.0, 1e-7, 1e-8}, at::kFloat).view({1, 1, 3});
  const KroneckerPtr regular =
      eigenOperator({{block, {}, {}, values, values == 0}}, 3, values.options());
  CHECK(std::isfinite(regular->logdet(0, StopToken())));
  CHECK(at::allclose(dense(*regular->inverse(0, Damping::kExact, StopToken())),
                     (1 / values.view({3})).diag(), 1e-5, 0));
}
