#pragma once

#include <c10/util/Exception.h>

#include <string>
#include <utility>

#include "core/runtime/error_code.h"

namespace tc {

/// What a check of a call's arguments refuses before libtorch sees it. One of libtorch's errors, so
/// that whatever takes those for a sign takes this for it, too: trials with few rows, or with
/// replaced ones, whose indices may point to rows that are not there.
class RefusedCall final : public c10::Error {
 public:
  RefusedCall(ErrorCode code, std::string message) : c10::Error(std::move(message)), code_(code) {}

  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

/// Whether a check refused the numbers of a call, whatever shapes they have.
inline bool refusesNumbers(const c10::Error& error) {
  const auto* refused = dynamic_cast<const RefusedCall*>(&error);
  return refused != nullptr && refused->code() == "ERR_INVALID_ARGUMENT";
}

}  // namespace tc
