#include "binding/problem.h"

#include "core/linearization/engine.h"

namespace tc::js {

ChunkOptions chunkOptions(const Fields& fields) {
  ChunkOptions options;
  options.engine = findEngine(fields.text("engine"));
  options.chunkSize = fields.integer("chunkSize");
  if (fields.has("memoryBudget")) options.memoryBudget = fields.integer("memoryBudget");
  if (fields.has("products")) options.products = fields.integer("products");
  return options;
}

Problem problemOf(const Fields& fields) {
  Problem problem;
  if (fields.has("loss")) problem.loss = fields.text("loss");
  if (fields.has("reduction")) problem.reduction = fields.text("reduction");
  if (fields.has("target"))
    problem.target = toTensor(fields.get("target"), Memory::kCopy, "target");
  if (fields.has("weights"))
    problem.weights = toFlat(fields.get("weights"), Memory::kCopy, "weights");
  problem.center = fields.flag("center");
  if (fields.has("per")) problem.per = findPer(fields.text("per"));
  return problem;
}

}  // namespace tc::js
