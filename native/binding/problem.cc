#include "binding/problem.h"

#include "binding/program.h"
#include "core/linearization/engine.h"
#include "core/program/program.h"
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

LossProgram lossProgramOf(Napi::Value record) {
  const Fields fields(record);
  LossProgram program{unwrap<ProgramHandle>(fields.get("program"), "program")->program,
                      toFlat(fields.get("params"), Memory::kCopy, "params"),
                      {}};
  if (program.params.numel() != program.program->parameterCount()) {
    throw Error("ERR_SHAPE_MISMATCH",
                "the loss's params should have one element for each of its parameters");
  }
  const auto shapes = fields.get("shapes");
  if (!shapes.IsArray()) throw Error("ERR_INVALID_ARGUMENT", "shapes should be a list");
  const auto list = shapes.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    auto& shape = program.shapes.emplace_back();
    const Napi::Value sizes = list[i];
    if (!sizes.IsArray()) throw Error("ERR_INVALID_ARGUMENT", "a shape should be a list");
    for (uint32_t axis = 0; axis < sizes.As<Napi::Array>().Length(); ++axis)
      shape.push_back(Napi::Value(sizes.As<Napi::Array>()[axis]).ToNumber().Int64Value());
  }
  return program;
}

}  // namespace

Problem problemOf(const Fields& fields) {
  Problem problem;
  if (fields.has("loss")) problem.loss = fields.text("loss");
  if (fields.has("lossOptions")) problem.lossOptions = lossOptionsOf(fields.get("lossOptions"));
  if (fields.has("lossProgram")) problem.lossProgram = lossProgramOf(fields.get("lossProgram"));
  if (fields.has("sampler")) problem.sampler = lossProgramOf(fields.get("sampler"));
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
