#pragma once

#include <functional>
#include <string>

#include "core/program/refused_call.h"
#include "core/runtime/error.h"

namespace tc::test {

/// The code of the Error, or RefusedCall, that `body` throws; empty where it throws none.
inline std::string codeOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return std::string(error.code().name());
  } catch (const RefusedCall& error) {
    return std::string(error.code().name());
  }
  return "";
}

}  // namespace tc::test
