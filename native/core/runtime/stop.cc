#include "core/runtime/stop.h"

#include "core/runtime/error.h"

namespace tc {
namespace {

thread_local const StopToken* current = nullptr;

}  // namespace

void StopToken::end() { throw Error("ABORTED", "the operation was stopped"); }

StopScope::StopScope(const StopToken& stop) : outer_(current) { current = &stop; }

StopScope::~StopScope() { current = outer_; }

void StopScope::poll() {
  if (current != nullptr) current->poll();
}

}  // namespace tc
