#include "core/runtime/reason.h"

#include <c10/util/Exception.h>

#include <stdexcept>
#include <string>

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

TEST_CASE("a reason is the first line, without what libtorch adds to it") {
  CHECK(reasonOf(std::runtime_error("too small\nException raised from f")) == "too small");
  CHECK(reasonOf(std::runtime_error("x INTERNAL ASSERT FAILED at \"a.cpp\":1, please report a bug "
                                    "to PyTorch. no such axis")) == "no such axis");
  try {
    TORCH_INTERNAL_ASSERT(false);
  } catch (const c10::Error& error) {
    CHECK(reasonOf(error) == "a check inside libtorch failed");
  }
}

TEST_CASE("what ends all use of CUDA says so") {
  const std::string assertion = "CUDA error: device-side assert triggered";
  CHECK(reasonOf(std::runtime_error(assertion + "\nCompile with TORCH_USE_CUDA_DSA")) ==
        assertion + "; this process can use CUDA no more: start another one");
  const std::string memory = "CUDA error: out of memory";
  CHECK(reasonOf(std::runtime_error(memory)) == memory);
}
