#include "core/runtime/stop.h"

#include "core/runtime/error.h"

namespace tc {

void StopToken::end() { throw Error("ABORTED", "the operation was stopped"); }

}  // namespace tc
