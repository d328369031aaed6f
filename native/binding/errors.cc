#include <c10/util/Exception.h>

#include <new>

#include "binding/js.h"
#include "core/program/refused_call.h"
#include "core/runtime/error.h"
#include "core/runtime/reason.h"

namespace tc::js {
namespace {

struct Described {
  ErrorCode code;
  std::string message;
};

Described describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& known) {
    return {known.code(), known.what()};
  } catch (const RefusedCall& known) {
    return {known.code(), reasonOf(known)};
  } catch (const c10::OutOfMemoryError& known) {
    return {"ERR_OUT_OF_MEMORY", reasonOf(known)};
  } catch (const c10::NotImplementedError& known) {
    return {"ERR_UNSUPPORTED_OP", reasonOf(known)};
  } catch (const c10::Error& known) {
    return {"ERR_LIBTORCH", reasonOf(known)};
  } catch (const std::bad_alloc&) {
    return {"ERR_OUT_OF_MEMORY", "the process could not allocate more memory"};
  } catch (const std::exception& known) {
    return {"ERR_LIBTORCH", reasonOf(known)};
  } catch (...) {
    return {"ERR_LIBTORCH", "an unknown failure in native code"};
  }
}

}  // namespace

Napi::Error translate(Napi::Env env, const std::exception_ptr& error) noexcept {
  const Described described = describe(error);
  Napi::Error result = Napi::Error::New(env, described.message);
  result.Set("code", Napi::String::New(env, std::string(described.code.name())));
  return result;
}

}  // namespace tc::js
