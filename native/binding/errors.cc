#include <c10/util/Exception.h>

#include <new>

#include "binding/js.h"
#include "core/runtime/error.h"

namespace tc::js {
namespace {

struct Described {
  std::string code;
  std::string message;
};

/// The first line of libtorch's message: what follows is a backtrace or advice for Python.
std::string firstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

Described describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& known) {
    return {known.code(), known.what()};
  } catch (const c10::OutOfMemoryError& known) {
    return {"ERR_OUT_OF_MEMORY", firstLine(known.what_without_backtrace())};
  } catch (const c10::NotImplementedError& known) {
    return {"ERR_UNSUPPORTED_OP", firstLine(known.what_without_backtrace())};
  } catch (const c10::Error& known) {
    const std::string message = firstLine(known.what_without_backtrace());
    const bool memory = message.find("DefaultCPUAllocator") != std::string::npos;
    return {memory ? "ERR_OUT_OF_MEMORY" : "ERR_LIBTORCH", message};
  } catch (const std::bad_alloc&) {
    return {"ERR_OUT_OF_MEMORY", "the process could not allocate more memory"};
  } catch (const std::exception& known) {
    return {"ERR_LIBTORCH", firstLine(known.what())};
  } catch (...) {
    return {"ERR_LIBTORCH", "an unknown failure in native code"};
  }
}

}  // namespace

Napi::Error translate(Napi::Env env, std::exception_ptr error) noexcept {
  const Described described = describe(error);
  Napi::Error result = Napi::Error::New(env, described.message);
  result.Set("code", Napi::String::New(env, described.code));
  return result;
}

}  // namespace tc::js
