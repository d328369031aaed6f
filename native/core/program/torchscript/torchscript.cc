#include "core/program/torchscript/torchscript.h"

#include <ATen/core/jit_type.h>
#include <c10/util/Exception.h>
#include <caffe2/serialize/in_memory_adapter.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>

#include "core/program/torchscript/interpreter.h"
#include "core/runtime/error.h"
#include "core/runtime/reason.h"

namespace tc {
namespace {

namespace jit = torch::jit;
using torchscript::Dict;
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

struct Results {
  std::vector<Item> items;
  std::vector<std::string> names;  ///< of a dictionary or a NamedTuple, else empty
};

/// What the model returns: one tensor, or those of a tuple, list or dictionary.
Results resultsOf(std::vector<Item> returned, const c10::FunctionSchema& schema) {
  if (returned.size() != 1) return {std::move(returned), {}};
  Results results;
  if (const auto* dict = std::get_if<std::shared_ptr<Dict>>(&returned.front())) {
    for (const auto& [key, item] : (*dict)->entries) {
      results.items.push_back(item);
      results.names.push_back(key.isString() ? key.toStringRef() : c10::str(key));
    }
    return results;
  }
  const auto* list = std::get_if<std::shared_ptr<List>>(&returned.front());
  if (list == nullptr) return {std::move(returned), {}};
  results.items = (*list)->items;
  const auto tuple =
      schema.returns().empty() ? nullptr : schema.returns()[0].type()->cast<c10::TupleType>();
  if (tuple && tuple->schema()) {
    for (const c10::Argument& field : tuple->schema()->arguments())
      results.names.push_back(field.name());
  }
  if (results.names.size() != results.items.size()) results.names.clear();
  return results;
}

size_t chooseResult(const Results& results, const WantedResult& wanted) {
  const size_t count = results.items.size();
  const bool named = !results.names.empty();
  if (count == 0) throw Error("ERR_UNSUPPORTED_OP", "the model returns no tensor");
  std::string known;
  for (const std::string& name : results.names) known += (known.empty() ? "'" : ", '") + name + "'";
  if (std::holds_alternative<std::monostate>(wanted)) {
    if (count == 1) return 0;
    throw Error("ERR_UNSUPPORTED_OP",
                "the model returns " + std::to_string(count) + " values" +
                    (named ? ": " + known + "; choose one by its name or number: "
                           : "; choose one by its number: ") +
                    "Model.load(file, { trusted: true, output: " +
                    (named ? "'" + results.names.front() + "'" : "0") + " })");
  }
  if (const auto* name = std::get_if<std::string>(&wanted)) {
    const auto found = std::ranges::find(results.names, *name);
    if (found != results.names.end()) return static_cast<size_t>(found - results.names.begin());
    throw Error(
        "ERR_INVALID_ARGUMENT",
        named ? "output should be one of those that the model returns: " + known + ", got '" +
                    *name + "'"
              : "output should be a number, as the results of the model have no names, got '" +
                    *name + "'");
  }
  const int64_t number = std::get<int64_t>(wanted);
  if (number < 0 || static_cast<size_t>(number) >= count) {
    throw Error("ERR_INVALID_ARGUMENT", "output should be less than " + std::to_string(count) +
                                            ", the number of values that the model returns, got " +
                                            std::to_string(number));
  }
  return static_cast<size_t>(number);
}

/// Whether an argument is a list, tuple or dictionary of tensors.
bool holdsTensors(const c10::TypePtr& type) {
  if (isTensor(type)) return false;
  const auto contained = type->containedTypes();
  return std::ranges::any_of(
      contained, [](const c10::TypePtr& each) { return isTensor(each) || holdsTensors(each); });
}

/// An argument that is no tensor: its value by default.
Item fallbackOf(const c10::Argument& argument) {
  if (argument.default_value()) return *argument.default_value();
  const std::string& name = argument.name();
  if (holdsTensors(argument.type()) && argument.type()->kind() != c10::TypeKind::OptionalType) {
    throw Error("ERR_UNSUPPORTED_OP",
                "forward takes " + name +
                    ", which holds several tensors; write a module around it that takes each by "
                    "itself, as in `def forward(self, a, b): return self.model([a, b])`, or export "
                    "it with torch.export");
  }
  throw Error("ERR_UNSUPPORTED_OP",
              "forward takes " + name +
                  ", which is no tensor; give it a value by default, as in `n: int = 3`, take "
                  "it as a tensor, or export the model with torch.export");
}

TorchScriptModel convert(const jit::Module& module, const WantedResult& wanted) {
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
  std::vector<Item> fallbacks;
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (isTensor(arguments[i].type())) {
      inputs.push_back({arguments[i].name(), {}, {"batch", "..."}});
    } else {
      fallbacks.push_back(fallbackOf(arguments[i]));
    }
  }
  if (inputs.empty()) throw Error("ERR_MODEL_LOAD", "the model takes no tensor");
  Tensors tensors(module, std::move(inputs));

  std::vector<Item> items{c10::IValue(module._ivalue())};
  int64_t next = static_cast<int64_t>(tensors.parameters().size());
  auto fallback = fallbacks.begin();
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (isTensor(arguments[i].type())) {
      items.emplace_back(TensorItem{next++});
    } else {
      items.push_back(*fallback++);
    }
  }
  Interpreter interpreter(tensors);
  const Results results =
      resultsOf(interpreter.call(*function->graph(), items), method->function().getSchema());
  const size_t chosen = chooseResult(results, wanted);
  const int64_t output = interpreter.valueOf(results.items[chosen]);
  ProgramSpec spec = tensors.finish(interpreter.takeNodes(), output);
  if (results.items.size() > 1) {
    for (size_t i = 0; i < results.items.size(); ++i) {
      spec.outputs.push_back(
          {results.names.empty() ? std::to_string(i) : results.names[i], {}, {"batch", "..."}});
    }
    spec.returned = chosen;
  }
  return {std::move(spec), tensors.flatParameters(), tensors.frozen()};
}

}  // namespace

TorchScriptModel loadTorchScript(const void* data, size_t size, const WantedResult& output) {
  return reading([&] {
    auto reader =
        std::make_shared<caffe2::serialize::MemoryReadAdapter>(data, static_cast<off_t>(size));
    return convert(jit::load(std::move(reader), c10::Device(c10::kCPU),
                             /*load_debug_files=*/false),
                   output);
  });
}

}  // namespace tc
