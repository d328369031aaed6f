#include "core/program/torchscript/interpreter.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "core/program/schema.h"
#include "core/program/slots.h"
#include "core/program/torchscript/arguments.h"
#include "core/runtime/error.h"

namespace tc::torchscript {
namespace {

namespace jit = torch::jit;

// A model of a few kilobytes could otherwise describe a program without end.
constexpr int64_t kSteps = 1'000'000;
constexpr int kDepth = 200;
constexpr int64_t kListLength = 100'000;

Error unsupported(const std::string& op, const std::string& reason) {
  return Error("ERR_UNSUPPORTED_OP", op + " " + reason);
}

const Item& lookUp(const std::unordered_map<const jit::Value*, Item>& environment,
                   const jit::Value* value) {
  const auto found = environment.find(value);
  if (found == environment.end())
    throw Error("ERR_MODEL_LOAD", "the model reads a value before it exists");
  return found->second;
}

/// Whether the block can only end in an exception.
bool raises(const jit::Block& block) {
  for (const jit::Node* node : block.nodes()) {
    if (node->kind() == c10::prim::RaiseException) return true;
  }
  return false;
}

const jit::Graph& graphOf(jit::Function& function, const std::string& name) {
  auto* graphFunction = jit::tryToGraphFunction(function);
  if (graphFunction == nullptr) throw unsupported(name, "is not written in TorchScript");
  return *graphFunction->graph();
}

/// Whether an operator is one of libtorch's on tensors, not of TorchScript's own on lists and
/// words.
bool isOfTensors(const c10::FunctionSchema& schema) {
  return c10::Dispatcher::singleton().findSchema(schema.operator_name()).has_value();
}

/// Whether an item is one integer of fewer bits than sizes have, as a tensor.
bool isSmallInteger(const Item& item) {
  const auto* value = std::get_if<c10::IValue>(&item);
  if (value == nullptr || !value->isTensor() || value->toTensor().dim() > 0) return false;
  const auto type = value->toTensor().scalar_type();
  return at::isIntegralType(type, /*includeBool=*/true) && type != at::kLong;
}

/// Whether an operator takes a tensor and gives something else.
bool asksTensor(const c10::FunctionSchema& schema) {
  return !schema.returns().empty() && !makesTensor(schema) && !returnsList(schema) &&
         std::ranges::any_of(schema.returns(), [](const c10::Argument& result) {
           return result.type()->kind() != c10::TypeKind::TensorType;
         });
}

/// How many tensors of a list-valued result are used, as far as its users or the operator tell.
int64_t listLength(const jit::Node& node, const std::vector<Item>& inputs) {
  const std::string name = node.kind().toQualString();
  if ((name == "aten::split" || name == "aten::split_with_sizes") && !wholeNumber(inputs.at(1)) &&
      !std::holds_alternative<ProgramSpec::Size>(inputs.at(1))) {
    return static_cast<int64_t>(elements(inputs.at(1), name).size());
  }
  int64_t length = 0;
  bool known = true;
  for (const jit::Use& use : node.output()->uses()) {
    if (use.user->kind() == c10::prim::ListUnpack) {
      length = std::max(length, static_cast<int64_t>(use.user->outputs().size()));
    } else if (use.user->kind() == c10::aten::__getitem__) {
      const auto index = jit::toIValue(use.user->input(1));
      known = known && index && index->isInt() && index->toInt() >= 0;
      if (known) length = std::max(length, index->toInt() + 1);
    } else {
      known = false;
    }
  }
  if (known && length > 0) return length;
  if (name == "aten::chunk") {
    if (const auto chunks = wholeNumber(inputs.at(1))) return *chunks;
  }
  throw unsupported(name,
                    "gives a list whose length is known only when the model runs; take its "
                    "parts by number, or trace the model: "
                    "torch.jit.trace(model, x).save('model.pt')");
}

}  // namespace

std::vector<Item> Interpreter::call(const jit::Graph& graph, const std::vector<Item>& arguments) {
  if (++depth_ > kDepth) throw unsupported("prim::CallFunction", "is nested too deeply");
  if (graph.inputs().size() != arguments.size())
    throw Error("ERR_MODEL_LOAD", "the model calls a function with a wrong number of arguments");
  Environment environment;
  for (size_t i = 0; i < arguments.size(); ++i) environment[graph.inputs()[i]] = arguments[i];
  run(*graph.block(), environment);
  std::vector<Item> results;
  for (const jit::Value* output : graph.outputs()) results.push_back(lookUp(environment, output));
  --depth_;
  return results;
}

void Interpreter::run(const jit::Block& block, Environment& environment) {
  for (const jit::Node* node : block.nodes()) {
    spend(1);
    step(*node, environment);
  }
}

int64_t Interpreter::rootOf(int64_t id) const {
  const auto found = roots_.find(id);
  return found == roots_.end() ? id : found->second;
}

ProgramSpec::Size Interpreter::axisOf(int64_t id, int64_t axis) {
  asked_.insert(rootOf(id));
  return {ProgramSpec::Size::Kind::kAxis, id, axis, {}};
}

void Interpreter::spend(size_t steps) {
  steps_ += static_cast<int64_t>(steps);
  if (steps_ > kSteps) throw unsupported("prim::Loop", "repeats too often to be unrolled");
}

void Interpreter::step(const jit::Node& node, Environment& environment) {
  if (node.kind() == c10::prim::If) return branch(node, environment);
  if (node.kind() == c10::prim::Loop) return loop(node, environment);
  if (callFunction(node, environment)) return;
  std::vector<Item> inputs;
  for (const jit::Value* input : node.inputs())
    inputs.push_back(asChanged(lookUp(environment, input)));
  auto results = fold(node, inputs);
  if (!results) results = emit(node, inputs);
  if (results->size() != node.outputs().size())
    throw Error("ERR_MODEL_LOAD", std::string(node.kind().toQualString()) +
                                      " gives another number of values than the model takes");
  for (size_t i = 0; i < results->size(); ++i) environment[node.outputs()[i]] = (*results)[i];
}

void Interpreter::branch(const jit::Node& node, Environment& environment) {
  const Item& condition = lookUp(environment, node.input());
  const jit::Block* taken = nullptr;
  const auto* value = std::get_if<c10::IValue>(&condition);
  if (value != nullptr && value->isBool()) {
    taken = node.blocks()[value->toBool() ? 0 : 1];
  } else if (raises(*node.blocks()[0])) {  // a check of the input: the run itself will tell
    taken = node.blocks()[1];
  } else if (raises(*node.blocks()[1])) {
    taken = node.blocks()[0];
  } else {
    const auto* unknown = std::get_if<UnknownItem>(&condition);
    throw unsupported("prim::If",
                      "branches on " + (unknown == nullptr ? "something" : unknown->origin) +
                          ", which is known only when the model runs; trace the model, which takes "
                          "the branch of its example, or export it with torch.export: "
                          "torch.jit.trace(model, x).save('model.pt')");
  }
  run(*taken, environment);
  for (size_t i = 0; i < node.outputs().size(); ++i)
    environment[node.outputs()[i]] = lookUp(environment, taken->outputs()[i]);
}

void Interpreter::loop(const jit::Node& node, Environment& environment) {
  const auto repeats = [](const Item& item) {
    const auto* value = std::get_if<c10::IValue>(&item);
    if (value == nullptr || !value->isBool())
      throw unsupported("prim::Loop", "ends on a condition that is known only when the model runs");
    return value->toBool();
  };
  const auto trips = wholeNumber(lookUp(environment, node.input(0)));
  if (!trips)
    throw unsupported("prim::Loop",
                      "repeats as often as is known only when the model runs; trace the model, "
                      "which repeats as often as its example needs, or export it with "
                      "torch.export: torch.jit.trace(model, x).save('model.pt')");
  const jit::Block& body = *node.blocks()[0];
  std::vector<Item> carried;
  for (size_t i = 2; i < node.inputs().size(); ++i)
    carried.push_back(lookUp(environment, node.input(i)));
  bool more = repeats(lookUp(environment, node.input(1)));
  for (int64_t trip = 0; more && trip < *trips; ++trip) {
    spend(1);
    environment[body.inputs()[0]] = c10::IValue(trip);
    for (size_t i = 0; i < carried.size(); ++i) environment[body.inputs()[i + 1]] = carried[i];
    run(body, environment);
    more = repeats(lookUp(environment, body.outputs()[0]));
    for (size_t i = 0; i < carried.size(); ++i)
      carried[i] = lookUp(environment, body.outputs()[i + 1]);
  }
  for (size_t i = 0; i < carried.size(); ++i) environment[node.outputs()[i]] = carried[i];
}

bool Interpreter::callFunction(const jit::Node& node, Environment& environment) {
  const bool method = node.kind() == c10::prim::CallMethod;
  if (!method && node.kind() != c10::prim::CallFunction) return false;
  std::vector<Item> arguments;
  for (size_t i = method ? 0 : 1; i < node.inputs().size(); ++i)
    arguments.push_back(lookUp(environment, node.input(i)));
  std::vector<Item> results;
  if (method) {
    const std::string& name = node.s(c10::attr::name);
    const auto* self = std::get_if<c10::IValue>(&arguments.at(0));
    if (self == nullptr || !self->isObject())
      throw unsupported(name, "is called on something that is no module");
    results = call(graphOf(self->toObject()->type()->getMethod(name), name), arguments);
  } else {
    const auto type = node.input(0)->type()->cast<c10::FunctionType>();
    if (!type) throw Error("ERR_MODEL_LOAD", "the model calls something that is no function");
    results = call(graphOf(*type->function(), type->function()->name()), arguments);
  }
  for (size_t i = 0; i < results.size(); ++i) environment[node.outputs()[i]] = results[i];
  return true;
}

Item Interpreter::asChanged(const Item& item) {
  const auto* value = std::get_if<c10::IValue>(&item);
  const bool tensor = value != nullptr && value->isTensor() && value->toTensor().defined();
  return tensor && tensors_.isChanged(value->toTensor()) ? toItem(*value) : item;
}

/// What its results may share memory with, and what it changes.
void Interpreter::follow(const ProgramSpec::Node& call) {
  const auto op = findOperator(call.target);
  const bool changes = op.schema().is_mutable();
  if (changes && !call.args.empty()) {
    if (const auto* first = std::get_if<ProgramSpec::Ref>(&call.args.front())) {
      tensors_.change(first->value);
      const int64_t root = rootOf(first->value);
      roots_[next_] = root;
      if (op.hasTag(at::Tag::inplace_view) && asked_.contains(root)) {
        throw unsupported(call.target,
                          "changes the shape of a tensor in place, whose sizes were asked for "
                          "before; write it without that, as in h = h.unsqueeze(1)");
      }
    }
  }
  if (!changes && returnsFreshMemory(op)) return;
  forEachTensor(call, [&](int64_t value) {
    for (int64_t i = 0; i < call.outputs; ++i) tensors_.alias(next_ + i, value);
  });
}

std::vector<Item> Interpreter::emit(const jit::Node& node, const std::vector<Item>& inputs) {
  const c10::FunctionSchema* schema = node.maybeSchema();
  std::string op = node.kind().toQualString();
  if (schema != nullptr && asksTensor(*schema))
    throw unsupported(op, "takes a value out of the data, where derivatives end");
  if (schema == nullptr || !isOfTensors(*schema)) {
    throw unsupported(op,
                      "has no place in a straight-line program; trace the model, or export it with "
                      "torch.export: torch.jit.trace(model, x).save('model.pt')");
  }
  if (auto alike = likeAnother(node, inputs)) return {std::move(*alike)};
  if (!schema->overload_name().empty()) op += "." + schema->overload_name();
  if (inputs.size() != schema->arguments().size())
    throw Error("ERR_MODEL_LOAD", op + " is given a wrong number of arguments");

  ProgramSpec::Node call{op, {}, {}, static_cast<int64_t>(schema->returns().size())};
  const bool isList = returnsList(*schema);
  if (isList) call.outputs = listLength(node, inputs);
  if (call.outputs < 1 || call.outputs > kListLength)
    throw unsupported(op, "gives a list of an impossible length");
  call.required = isList && std::ranges::any_of(node.output()->uses(), [](const jit::Use& use) {
                    return use.user->kind() == c10::prim::ListUnpack;
                  });
  // A dtype decides that of new data only where there is no data yet, or data of that dtype.
  const bool makes = makesTensor(*schema);
  for (size_t i = 0; i < inputs.size(); ++i) {
    Item item = withTensors(inputs[i]);
    // A traced size is a tensor, which makes integers of a few bits to int64 as no number does.
    const auto* size = std::get_if<ProgramSpec::Size>(&item);
    if (size != nullptr && schema->arguments()[i].type()->kind() == c10::TypeKind::TensorType &&
        std::ranges::any_of(inputs, isSmallInteger)) {
      item = write({"aten::scalar_tensor", {*size, static_cast<double>(at::kLong)}, {}, 1});
    }
    const auto* first = call.args.empty() ? nullptr : std::get_if<ProgramSpec::Ref>(&call.args[0]);
    const auto kept = first == nullptr ? std::nullopt : tensors_.constantPrecision(first->value);
    call.args.push_back(
        toArgument(item, schema->arguments()[i], op, {tensors_.precision(), kept, makes}));
  }
  // Without a dtype, what is filled with a fraction is floating, and with the digits of the model.
  const auto dtype = schema->argumentIndexWithName("dtype");
  const bool fraction = std::ranges::any_of(call.args, [](const ProgramSpec::Argument& argument) {
    const auto* size = std::get_if<ProgramSpec::Size>(&argument);
    return size != nullptr && !isWhole(*size);
  });
  if (makes && dtype && fraction) {
    auto& written = call.args[static_cast<size_t>(*dtype)];
    if (std::holds_alternative<std::monostate>(written)) written = ProgramSpec::Precision{};
  }
  std::vector<Item> results;
  results.reserve(static_cast<size_t>(call.outputs));
  for (int64_t i = 0; i < call.outputs; ++i) results.emplace_back(TensorItem{next_ + i});
  follow(call);
  next_ += call.outputs;
  nodes_.push_back(std::move(call));
  if (!isList) return results;
  return {std::make_shared<List>(List{std::move(results)})};
}

Item Interpreter::withTensors(const Item& item) {
  if (const auto* value = std::get_if<c10::IValue>(&item)) return toItem(*value);
  if (const auto* list = std::get_if<std::shared_ptr<List>>(&item)) {
    List result;
    for (const Item& element : (*list)->items) result.items.push_back(withTensors(element));
    return std::make_shared<List>(std::move(result));
  }
  return item;
}

Item Interpreter::toItem(const c10::IValue& value) {
  if (value.isTensor()) {
    const size_t before = nodes_.size();
    const int64_t id = tensors_.valueOf(value.toTensor(), nodes_, next_);
    next_ += static_cast<int64_t>(nodes_.size() - before);
    return TensorItem{id};
  }
  if (value.isTensorList()) {
    List list;
    for (const c10::IValue& element : value.toListRef()) list.items.push_back(toItem(element));
    return std::make_shared<List>(std::move(list));
  }
  return value;
}

int64_t Interpreter::valueOf(const Item& item) {
  const Item tensor = withTensors(item);
  if (const auto* value = std::get_if<TensorItem>(&tensor)) return value->id;
  throw Error("ERR_UNSUPPORTED_OP", "the model returns something else than one tensor");
}

}  // namespace tc::torchscript
