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
using torchscript::List;
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

/// What the model returns: one tensor, or those of a tuple or list.
std::vector<Item> resultsOf(std::vector<Item> results) {
  if (results.size() != 1) return results;
  const auto* list = std::get_if<std::shared_ptr<List>>(&results.front());
  return list == nullptr ? results : (*list)->items;
}

size_t chooseResult(size_t count, std::optional<int64_t> wanted) {
  const auto number = wanted.value_or(0);
  if (count == 0) throw Error("ERR_UNSUPPORTED_OP", "the model returns no tensor");
  if (count > 1 && !wanted) {
    throw Error("ERR_UNSUPPORTED_OP", "the model returns " + std::to_string(count) +
                                          " values; choose one by its number: "
                                          "Model.load(file, { trusted: true, output: 0 })");
  }
  if (number < 0 || static_cast<size_t>(number) >= count) {
    throw Error("ERR_INVALID_ARGUMENT", "output should be less than " + std::to_string(count) +
                                            ", the number of values that the model returns, got " +
                                            std::to_string(number));
  }
  return static_cast<size_t>(number);
}

TorchScriptModel convert(const jit::Module& module, std::optional<int64_t> wanted) {
  const auto method = module.find_method("forward");
  if (!method) throw Error("ERR_MODEL_LOAD", "the model has no method forward");
  const auto type = module.type();
  if (!type->getForwardHooks().empty() || !type->getForwardPreHooks().empty()) {
    throw Error("ERR_UNSUPPORTED_OP",
                "the model has forward hooks of its own; trace it, or wrap it in a module, whose "
                "submodules may have them: torch.jit.script(torch.nn.Sequential(model))");
  }
  auto* function = jit::tryToGraphFunction(method->function());
  if (function == nullptr) throw Error("ERR_MODEL_LOAD", "the model's forward has no graph");
  const auto& arguments = method->function().getSchema().arguments();

  std::vector<ProgramSpec::Port> inputs;
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (isTensor(arguments[i].type()))
      inputs.push_back({arguments[i].name(), {}, {"batch", "..."}});
  }
  if (inputs.empty()) throw Error("ERR_MODEL_LOAD", "the model takes no tensor");
  Tensors tensors(module, std::move(inputs));

  std::vector<Item> items{c10::IValue(module._ivalue())};
  int64_t next = static_cast<int64_t>(tensors.parameters().size());
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (isTensor(arguments[i].type())) {
      items.emplace_back(TensorItem{next++});
    } else if (const auto& fallback = arguments[i].default_value()) {
      items.emplace_back(*fallback);
    } else {
      throw Error("ERR_UNSUPPORTED_OP",
                  "forward takes " + arguments[i].name() +
                      ", which is no tensor; give it a value by default, as in `n: int = 3`, take "
                      "it as a tensor, or export the model with torch.export");
    }
  }
  Interpreter interpreter(tensors);
  const std::vector<Item> results = resultsOf(interpreter.call(*function->graph(), items));
  const size_t chosen = chooseResult(results.size(), wanted);
  const int64_t output = interpreter.valueOf(results[chosen]);
  ProgramSpec spec = tensors.finish(interpreter.takeNodes(), output);
  if (results.size() > 1) {
    for (size_t i = 0; i < results.size(); ++i)
      spec.outputs.push_back({std::to_string(i), {}, {"batch", "..."}});
    spec.returned = chosen;
  }
  return {std::move(spec), tensors.flatParameters(), tensors.frozen()};
}

}  // namespace

TorchScriptModel loadTorchScript(const void* data, size_t size, std::optional<int64_t> output) {
  return reading([&] {
    auto reader =
        std::make_shared<caffe2::serialize::MemoryReadAdapter>(data, static_cast<off_t>(size));
    return convert(jit::load(std::move(reader), c10::Device(c10::kCPU),
                             /*load_debug_files=*/false),
                   output);
  });
}

}  // namespace tc
