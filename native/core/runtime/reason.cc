#include "core/runtime/reason.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <regex>
#include <string_view>

namespace tc {
namespace {

/// Errors of a GPU's kernels after which CUDA refuses all else that the process asks for, in the
/// words of its runtime.
constexpr std::string_view kLast[] = {
    "device-side assert triggered", "an illegal memory access was encountered",
    "misaligned address",           "an illegal instruction was encountered",
    "invalid program counter",      "hardware stack error",
    "unspecified launch failure",   "operation not supported on global/shared address space",
    "uncorrectable ECC error",
};

bool endsCuda(std::string_view reason) {
  return reason.starts_with("CUDA error") && std::ranges::any_of(kLast, [&](auto each) {
           return reason.find(each) != std::string_view::npos;
         });
}

}  // namespace

std::string reasonOf(const std::exception& error) {
  const auto* known = dynamic_cast<const c10::Error*>(&error);
  const std::string whole = known ? known->what_without_backtrace() : error.what();
  const std::string line = whole.substr(0, whole.find('\n'));
  // As c10/util/Exception.h writes them: TORCH_INTERNAL_ASSERT and CAFFE_ENFORCE.
  static const std::regex innards(
      R"re((\S+ )?INTERNAL ASSERT FAILED at "[^"]*":\d+, please report a bug to PyTorch\. ?|\[enforce fail at [^\]]*\] ?)re");
  const std::string plain = std::regex_replace(line, innards, "");
  if (endsCuda(plain)) return plain + "; this process can use CUDA no more: start another one";
  return plain.empty() ? "a check inside libtorch failed" : plain;
}

}  // namespace tc
