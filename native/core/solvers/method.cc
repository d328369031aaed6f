#include "core/solvers/method.h"

namespace tc {

Table<SolverMethod>& solverMethods() {
  static Table<SolverMethod> table("the method");
  return table;
}

}  // namespace tc
