#pragma once

#include <stdexcept>
#include <string>

#include "core/runtime/error_code.h"

namespace tc {

/// A failure that a caller can cause, with the stable code that JavaScript sees (`ERR_…`).
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace tc
