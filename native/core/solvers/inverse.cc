#include "core/solvers/inverse.h"

namespace tc {

Table<InverseMethod>& inverseMethods() {
  static Table<InverseMethod> table("the inverse");
  return table;
}

}  // namespace tc
