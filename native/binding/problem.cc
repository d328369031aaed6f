#include "binding/problem.h"

#include "core/linearization/engine.h"
#include "core/linearization/rows.h"
#include "core/runtime/error.h"

namespace tc::js {

ChunkOptions chunkOptions(const Fields& fields) {
  ChunkOptions options;
  options.engine = findEngine(fields.text("engine"));
  options.chunkSize = fields.integer("chunkSize");
  if (fields.has("memoryBudget")) options.memoryBudget = fields.integer("memoryBudget");
  if (fields.has("products")) options.products = fields.integer("products");
  return options;
}

Objective ProblemFields::objective(const Point& point) const {
  return objective(outputLike(point));
}

Objective ProblemFields::objective(const at::Tensor& y) const {
  if (!target.defined())
    throw Error("ERR_INVALID_ARGUMENT", "the problem needs a target for its loss");
  return makeObjective(findLoss(loss), y, target, findReduction(reduction));
}

RowWeights ProblemFields::rowWeights(const Point& point) const {
  return RowWeights(weights, center, point.batch(), point.params.options());
}

ProblemFields problemFields(const Fields& fields) {
  ProblemFields problem;
  if (fields.has("loss")) problem.loss = fields.text("loss");
  problem.reduction = fields.has("reduction") ? fields.text("reduction") : "mean";
  if (fields.has("target"))
    problem.target = toTensor(fields.get("target"), Memory::kCopy, "target");
  if (fields.has("weights"))
    problem.weights = toFlat(fields.get("weights"), Memory::kCopy, "weights");
  problem.center = fields.flag("center");
  if (fields.has("per")) problem.per = findPer(fields.text("per"));
  return problem;
}

}  // namespace tc::js
