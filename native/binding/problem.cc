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

namespace {

LossOptions lossOptionsOf(Napi::Value record) {
  const Fields fields(record);
  LossOptions options;
  for (const std::string& name : fields.names()) {
    const Napi::Value value = fields.get(name.c_str());
    if (value.IsNumber()) {
      options.set(name, value.As<Napi::Number>().DoubleValue());
    } else if (value.IsBoolean()) {
      options.set(name, value.As<Napi::Boolean>().Value());
    } else {
      options.set(name, toTensor(value, Memory::kCopy, name.c_str()));
    }
  }
  return options;
}

}  // namespace

Problem problemOf(const Fields& fields) {
  Problem problem;
  if (fields.has("loss")) problem.loss = fields.text("loss");
  if (fields.has("lossOptions")) problem.lossOptions = lossOptionsOf(fields.get("lossOptions"));
  if (fields.has("l2")) problem.l2 = toFlat(fields.get("l2"), Memory::kCopy, "l2");
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
