#include "counts.h"

#include <cstdlib>
#include <string_view>

namespace tc::test {

bool manyWanted() {
  const char* counts = std::getenv("TORCH_CURVATURE_TEST_COUNTS");
  return counts != nullptr && std::string_view(counts) != "usual";
}

}  // namespace tc::test
