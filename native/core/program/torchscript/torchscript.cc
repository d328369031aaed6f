#include "core/program/torchscript/torchscript.h"

#include <ATen/core/jit_type.h>
#include <c10/util/Exception.h>
#include <caffe2/serialize/in_memory_adapter.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include "core/program/torchscript/interpreter.h"
#include "core/runtime/error.h"
#include "core/runtime/reason.h"

namespace tc {
namespace {

namespace jit = torch::jit;
using torchscript::Interpreter;
using torchscript::Item;
using torchscript::TensorItem;
using torchscript::Tensors;

/// Runs `body`; what libtorch throws is a fault of the file.
template <typename Body>
auto reading(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Error&) {
    throw;
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw Error("ERR_MODEL_LOAD", reasonOf(error));
  }
}

bool isTensor(const c10::TypePtr& type) { return type->kind() == c10::TypeKind::TensorType; }

TorchScriptModel convert(const jit::Module& module) {
  const auto method = module.find_method("forward");
  if (!method) throw Error("ERR_MODEL_LOAD", "the model has no method forward");
  auto* function = jit::tryToGraphFunction(method->function());
  if (function == nullptr) throw Error("ERR_MODEL_LOAD", "the model's forward has no graph");
  const auto& arguments = method->function().getSchema().arguments();

  int64_t inputs = 0;
  for (size_t i = 1; i < arguments.size(); ++i) inputs += isTensor(arguments[i].type()) ? 1 : 0;
  if (inputs == 0) throw Error("ERR_MODEL_LOAD", "the model takes no tensor");
  Tensors tensors(module, inputs);

  std::vector<Item> items{c10::IValue(module._ivalue())};
  int64_t next = static_cast<int64_t>(tensors.parameters().size());
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (isTensor(arguments[i].type())) {
      items.emplace_back(TensorItem{next++});
    } else if (arguments[i].default_value()) {
      items.emplace_back(*arguments[i].default_value());
    } else {
      throw Error("ERR_UNSUPPORTED_OP",
                  "forward takes " + arguments[i].name() + ", which is no tensor");
    }
  }
  Interpreter interpreter(tensors);
  const auto results = interpreter.call(*function->graph(), items);
  if (results.size() != 1)
    throw Error("ERR_UNSUPPORTED_OP", "the model returns something else than one tensor");
  const int64_t output = interpreter.valueOf(results.front());
  return {tensors.finish(interpreter.takeNodes(), output), tensors.flatParameters(),
          tensors.frozen()};
}

}  // namespace

TorchScriptModel loadTorchScript(const void* data, size_t size) {
  return reading([&] {
    auto reader =
        std::make_shared<caffe2::serialize::MemoryReadAdapter>(data, static_cast<off_t>(size));
    return convert(jit::load(std::move(reader), c10::Device(c10::kCPU),
                             /*load_debug_files=*/false));
  });
}

}  // namespace tc
