#pragma once

#include "binding/request.h"
#include "core/operators/linear_operator.h"

namespace tc::js {

/// What a request says of an operator's data: `divisor`, `firstRow` and `drawnRows`, each where it
/// has one.
inline DataShare dataShareOf(const Fields& fields) {
  DataShare share;
  if (fields.has("divisor")) share.divisor = fields.number("divisor");
  if (fields.has("drawnRows"))
    share.drawn = {fields.integer("firstRow"), fields.integer("drawnRows")};
  return share;
}

}  // namespace tc::js
