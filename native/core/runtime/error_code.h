#pragma once

#include <cstddef>
#include <string_view>

namespace tc {

/// Every code that native code fails with, as JavaScript sees it; what they mean is said in
/// lib/errors.ts. `ABORTED` is not seen by callers, who get their signal's reason instead.
inline constexpr std::string_view kErrorCodes[] = {
    "ABORTED",           "ERR_BUSY",           "ERR_DETACHED_BUFFER", "ERR_DEVICE_UNAVAILABLE",
    "ERR_DISPOSED",      "ERR_DISTRIBUTED",    "ERR_DTYPE_MISMATCH",  "ERR_INVALID_ARGUMENT",
    "ERR_LIBTORCH",      "ERR_MODEL_LOAD",     "ERR_NO_CONVERGENCE",  "ERR_OUT_OF_MEMORY",
    "ERR_PROFILER_BUSY", "ERR_SHAPE_MISMATCH", "ERR_TIMEOUT",         "ERR_UNSUPPORTED_OP",
};

/// One of the codes above, by its name: another name does not compile.
class ErrorCode {
 public:
  template <size_t kSize>
  consteval ErrorCode(const char (&name)[kSize]) : name_(known({name, kSize - 1})) {}

  constexpr std::string_view name() const { return name_; }
  friend constexpr bool operator==(const ErrorCode&, const ErrorCode&) = default;

 private:
  static consteval std::string_view known(std::string_view name) {
    for (const std::string_view each : kErrorCodes) {
      if (each == name) return each;
    }
    throw "not one of kErrorCodes";  // a throw is no constant expression
  }

  std::string_view name_;
};

}  // namespace tc
