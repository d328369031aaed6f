#include "binding/request.h"

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "binding/program.h"
#include "core/linearization/rows.h"
#include "core/program/program.h"
#include "core/program/refused_call.h"
#include "core/runtime/device.h"
#include "core/runtime/error.h"
#include "core/runtime/reason.h"

namespace tc::js {
namespace {

Napi::Object objectOf(Napi::Value value) {
  if (!value.IsObject()) throw Error("ERR_INVALID_ARGUMENT", "the request should be an object");
  return value.As<Napi::Object>();
}

}  // namespace

Fields::Fields(Napi::Value value) : object_(objectOf(value)) {}

bool Fields::has(const char* name) const {
  const Napi::Value value = get(name);
  return !value.IsUndefined() && !value.IsNull();
}

std::vector<std::string> Fields::names() const {
  const Napi::Array list = object_.GetPropertyNames();
  std::vector<std::string> names;
  names.reserve(list.Length());
  for (uint32_t i = 0; i < list.Length(); ++i)
    names.push_back(Napi::Value(list[i]).ToString().Utf8Value());
  return names;
}

uint64_t Fields::seed(const char* name) const {
  const Napi::Value value = get(name);
  if (!value.IsBigInt())
    throw Error("ERR_INVALID_ARGUMENT", std::string(name) + " should be a bigint");
  bool lossless = false;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

at::Tensor vectorOf(const Request& request, const char* field, Memory memory) {
  const at::Tensor vector = toFlat(request.fields.get(field), memory, field);
  if (vector.numel() != request.point.params.numel()) {
    throw Error("ERR_SHAPE_MISMATCH",
                std::string(field) + " should have as many elements as params");
  }
  if (vector.scalar_type() != request.point.params.scalar_type()) {
    throw Error("ERR_DTYPE_MISMATCH",
                std::string(field) + " should be the same kind of array as params");
  }
  return vector;
}

namespace {

/// Whether it is a fault of the machine, of libtorch's or of the numbers, whatever shapes they
/// have.
bool concernsNoShapes(const c10::Error& error) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         dynamic_cast<const c10::NotImplementedError*>(&error) != nullptr ||
         dynamic_cast<const c10::LinAlgError*>(&error) != nullptr;
}

/// Throws Error where the model does not run on the inputs for their shapes or kinds.
void requireFitting(const Point& point, const StopToken& stop) {
  if (point.batch() == 0) return;
  const StopScope scope(stop);
  try {
    const Point here = placed(point, c10::Device(c10::kCPU));
    const c10::NoGradGuard noGradients;
    const int64_t rows = fixedBatch(point) > 0 ? fixedBatch(point) : point.batch();
    here.program->run(here.program->unflatten(here.params), tc::rows(here, 0, rows),
                      here.constants);
  } catch (const c10::Error& error) {
    if (concernsNoShapes(error)) return;
    const std::string message = reasonOf(error);
    const auto says = [&](const char* words) { return message.find(words) != std::string::npos; };
    if (refusesNumbers(error) || says("index out of range")) return;
    const bool kind = says("dtype") || says("scalar type");
    throw Error(kind ? ErrorCode("ERR_DTYPE_MISMATCH") : ErrorCode("ERR_SHAPE_MISMATCH"),
                "x does not fit the model: " + message);
  }
}

}  // namespace

Prepared explained(const Point& point, Prepared prepared) {
  prepared.compute = [point, compute = std::move(prepared.compute)](const StopToken& stop) {
    try {
      return compute(stop);
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const c10::Error& error) {
      if (!refusesNumbers(error)) requireFitting(point, stop);
      throw;
    }
  };
  return prepared;
}

Prepared explained(Request request) {
  return explained(request.point, std::move(request.prepared));
}

at::Tensor asInput(const ProgramSpec::Port& port, at::Tensor given) {
  if (port.dtype == at::kBool && given.scalar_type() == at::kByte) return given.ne(0);
  if (port.dtype == at::kLong && given.scalar_type() == at::kInt) return given.to(at::kLong);
  return given;
}

namespace {

/// Adds the next input.
void takeInput(Point& point, const Napi::Value& value, Memory memory) {
  const ProgramSpec::Port& port = point.program->inputs()[point.inputs.size()];
  point.inputs.push_back(asInput(port, toTensor(value, memory, "x")));
  point.shared.push_back(!port.hasRows());
}

/// Of a program for a fixed batch it is not known which inputs have rows: what is given as many as
/// the program takes at a time, where others have more, is the same for all rows.
void takeWholeInputs(Point& point) {
  const std::optional<int64_t> fixed = point.program->fixedBatch();
  const auto rows = [&](size_t i) {
    return point.hasRows(i) && point.inputs[i].dim() > 0 ? point.inputs[i].size(0) : 0;
  };
  int64_t batch = 0;
  for (size_t i = 0; i < point.inputs.size(); ++i) batch = std::max(batch, rows(i));
  for (size_t i = 0; i < point.inputs.size(); ++i) {
    if (fixed && rows(i) == *fixed && batch > *fixed) point.shared[i] = true;
  }
}

void requireOneBatch(const Point& point) {
  for (size_t i = 0; i < point.inputs.size(); ++i) {
    const at::Tensor& input = point.inputs[i];
    if (point.hasRows(i) && (input.dim() == 0 || input.size(0) != point.x().size(0))) {
      throw Error("ERR_SHAPE_MISMATCH",
                  "the first axis of every input that has rows should be the batch");
    }
  }
}

}  // namespace

Request takeRequest(const Napi::CallbackInfo& info, Memory memory) {
  const Fields fields(info[0]);
  Request request{{},
                  fields,
                  findDevice(fields.text("device")),
                  fields.integer("chunkSize"),
                  fields.flag("cut"),
                  {}};
  request.point.program = unwrap<ProgramHandle>(fields.get("program"), "program")->program;
  request.point.params = toFlat(fields.get("params"), memory, "params");
  if (request.point.params.numel() != request.point.program->parameterCount()) {
    throw Error("ERR_SHAPE_MISMATCH",
                "params should have one element for each of the model's parameters");
  }
  if (!request.point.params.is_floating_point()) {
    throw Error("ERR_DTYPE_MISMATCH", "params should be a Float32Array or a Float64Array");
  }
  const Napi::Value inputs = fields.get("inputs");
  if (!inputs.IsArray()) throw Error("ERR_INVALID_ARGUMENT", "inputs should be a list");
  const auto list = inputs.As<Napi::Array>();
  if (list.Length() != request.point.program->inputCount()) {
    throw Error("ERR_SHAPE_MISMATCH", "the model takes another number of inputs");
  }
  for (uint32_t i = 0; i < list.Length(); ++i) takeInput(request.point, list[i], memory);
  takeWholeInputs(request.point);
  requireOneBatch(request.point);
  request.prepared.threads = static_cast<int>(fields.integer("threads"));
  if (const Napi::Value out = fields.get("out"); out.IsTypedArray()) request.prepared.out = out;
  return request;
}

}  // namespace tc::js
