#include "core/operators/kfac/kronecker.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

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
