#include "core/program/torchscript/torchscript.h"
#include "core/program/program.h"

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "binding/operation.h"
#include "binding/program.h"
#include "binding/request.h"
#include "core/runtime/error.h"

namespace tc::js {
namespace {

/// Values that JavaScript copies out piece by piece, so that many of them do not hold up the event
/// loop.
struct ValuesHandle {
  static constexpr napi_type_tag kTypeTag = {0xc94f1d20e7b6483a, 0xa1825e3c90df4b67};
  at::Tensor values;  ///< flat, on the CPU
};

struct Loaded {
  std::shared_ptr<const Program> program;
  at::Tensor parameters;
  std::vector<std::string> frozen;
  size_t nodes;
};

/// What the caller says of inputs, by name: TorchScript itself has no kinds of numbers for them.
using Kinds = std::vector<std::pair<std::string, at::ScalarType>>;

Kinds kindsOf(const Fields& request) {
  Kinds kinds;
  if (!request.has("inputs")) return kinds;
  const Fields inputs(request.get("inputs"));
  for (const std::string& name : inputs.names())
    kinds.emplace_back(name, inputs.text(name.c_str()) == "bool" ? at::kBool : at::kByte);
  return kinds;
}

void setKinds(ProgramSpec& spec, const Kinds& kinds) {
  for (const auto& [name, kind] : kinds) {
    for (ProgramSpec::Port& input : spec.inputs) {
      if (input.name == name) input.dtype = kind;
    }
  }
}

Prepared load(const Napi::CallbackInfo& info, Memory) {
  const Napi::Value given = Fields(info[0]).get("bytes");
  if (!given.IsTypedArray())
    throw Error("ERR_INVALID_ARGUMENT", "a model file should be a Uint8Array");
  const auto bytes = given.As<Napi::Uint8Array>();
  WantedResult output;
  if (const Fields request(info[0]); request.has("output")) {
    if (request.get("output").IsString()) {
      output = request.text("output");
    } else {
      output = request.integer("output");
    }
  }
  Prepared prepared;
  prepared.threads = 1;
  prepared.kept = bytes;
  prepared.compute = [data = bytes.Data(), size = bytes.ByteLength(), output,
                      kinds = kindsOf(Fields(info[0]))](const StopToken&) {
    TorchScriptModel model = loadTorchScript(data, size, output);
    setKinds(model.spec, kinds);
    return Result::of(Loaded{std::make_shared<const Program>(model.spec),
                             model.parameters.cpu().contiguous(), std::move(model.frozen),
                             model.spec.nodes.size()});
  };
  prepared.deliver = [](Napi::Env env, const Result& result, Napi::Value) {
    const auto& loaded = result.as<Loaded>();
    const Napi::Object record = programRecord(env, loaded.program);
    record.Set("nodes", Napi::Number::New(env, static_cast<double>(loaded.nodes)));
    record.Set("float64", loaded.parameters.scalar_type() == at::kDouble);
    const auto frozen = Napi::Array::New(env, loaded.frozen.size());
    for (uint32_t i = 0; i < loaded.frozen.size(); ++i) frozen.Set(i, loaded.frozen[i]);
    record.Set("frozen", frozen);
    record.Set("values",
               wrap(env, std::make_shared<ValuesHandle>(ValuesHandle{loaded.parameters})));
    return record;
  };
  return prepared;
}

/// `copyValues(values, from, out)`: fills `out` with the values from that one on.
Napi::Value copyValues(const Napi::CallbackInfo& info) {
  const at::Tensor& values = unwrap<ValuesHandle>(info[0], "values")->values;
  const int64_t from = info[1].ToNumber().Int64Value();
  const at::Tensor out = toFlat(info[2], Memory::kBorrow, "out");
  if (out.scalar_type() != values.scalar_type() || from < 0 ||
      from > values.numel() - out.numel()) {
    throw Error("ERR_INVALID_ARGUMENT", "out should be a part of the values, and of their kind");
  }
  std::memcpy(out.mutable_data_ptr(),
              static_cast<const char*>(values.const_data_ptr()) + from * out.element_size(),
              out.nbytes());
  return info.Env().Undefined();
}

}  // namespace

void addModelFiles(Napi::Env env, Napi::Object exports) {
  addOperation(env, exports, "loadTorchScript", load);
  add(env, exports, "copyValues", copyValues);
}

}  // namespace tc::js
