#include "core/runtime/reason.h"

#include <c10/util/Exception.h>

#include <regex>

namespace tc {

std::string reasonOf(const std::exception& error) {
  const auto* known = dynamic_cast<const c10::Error*>(&error);
  const std::string whole = known ? known->what_without_backtrace() : error.what();
  const std::string line = whole.substr(0, whole.find('\n'));
  // As c10/util/Exception.h writes them: TORCH_INTERNAL_ASSERT and CAFFE_ENFORCE.
  static const std::regex innards(
      R"re((\S+ )?INTERNAL ASSERT FAILED at "[^"]*":\d+, please report a bug to PyTorch\. ?|\[enforce fail at [^\]]*\] ?)re");
  const std::string plain = std::regex_replace(line, innards, "");
  return plain.empty() ? "a check inside libtorch failed" : plain;
}

}  // namespace tc
