#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace tc {

/// A failure that a caller can cause, with the stable code that JavaScript sees (`ERR_…`).
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}

  const std::string& code() const noexcept { return code_; }

 private:
  std::string code_;
};

}  // namespace tc
