/// Lists, tuples and dictionaries, which a model makes, changes and asks while it is read.

#include <ATen/core/Dict.h>
#include <ATen/core/List.h>
#include <ATen/core/jit_type.h>

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

#include "core/program/torchscript/arguments.h"
#include "core/program/torchscript/interpreter.h"
#include "core/runtime/error.h"

namespace tc::torchscript {
namespace {

namespace jit = torch::jit;
using Items = std::vector<Item>;

Items one(Item item) { return {std::move(item)}; }

Items listOf(Items items) { return one(std::make_shared<List>(List{std::move(items)})); }

bool isList(const Item& item) {
  const auto* value = std::get_if<c10::IValue>(&item);
  return std::holds_alternative<std::shared_ptr<List>>(item) ||
         (value != nullptr && (value->isList() || value->isTuple()));
}

/// The elements of a list that is the model's own, as they are.
std::optional<c10::ArrayRef<c10::IValue>> ownElements(const Item& item) {
  const auto* value = std::get_if<c10::IValue>(&item);
  if (value == nullptr || !value->isList()) return std::nullopt;
  return value->toListRef();
}

/// A dictionary: the model's own as a copy, others as they are; nullptr for anything else.
std::shared_ptr<Dict> dictOf(const Item& item) {
  if (const auto* dict = std::get_if<std::shared_ptr<Dict>>(&item)) return *dict;
  const auto* value = std::get_if<c10::IValue>(&item);
  if (value == nullptr || !value->isGenericDict()) return nullptr;
  auto copy = std::make_shared<Dict>();
  for (const auto& entry : value->toGenericDict())
    copy->entries.emplace_back(entry.key(), entry.value());
  return copy;
}

size_t position(int64_t index, size_t length, const std::string& op) {
  if (index < 0) index += static_cast<int64_t>(length);
  if (index < 0 || index >= static_cast<int64_t>(length))
    throw Error("ERR_MODEL_LOAD", op + " reads past the end of a list");
  return static_cast<size_t>(index);
}

int64_t indexOf(const Item& item, const std::string& op) {
  const auto index = wholeNumber(item);
  if (!index) throw Error("ERR_UNSUPPORTED_OP", op + " takes an index of its data");
  return *index;
}

std::string wordsOf(const c10::IValue& key) {
  return key.isString() ? "'" + key.toStringRef() + "'" : c10::str(key);
}

const c10::IValue& keyOf(const Item& item, const std::string& op) {
  const auto* key = std::get_if<c10::IValue>(&item);
  if (key == nullptr || !(key->isString() || key->isInt() || key->isDouble() || key->isBool()))
    throw Error("ERR_UNSUPPORTED_OP", op + " takes a key of its data");
  return *key;
}

auto find(Dict& dict, const c10::IValue& key) {
  return std::ranges::find_if(dict.entries, [&](const auto& entry) { return entry.first == key; });
}

void assign(Dict& dict, const c10::IValue& key, const Item& item) {
  const auto found = find(dict, key);
  if (found == dict.entries.end()) {
    dict.entries.emplace_back(key, item);
  } else {
    found->second = item;
  }
}

/// A part of a list, as Python's slices take it.
Items sliceOf(const Items& items, const Items& inputs, const std::string& op) {
  const auto length = static_cast<int64_t>(items.size());
  const auto given = [&](size_t place) -> std::optional<int64_t> {
    if (inputs.size() <= place) return std::nullopt;
    const auto* value = std::get_if<c10::IValue>(&inputs[place]);
    if (value != nullptr && value->isNone()) return std::nullopt;
    return indexOf(inputs[place], op);
  };
  const int64_t step = given(3).value_or(1);
  if (step == 0) throw Error("ERR_MODEL_LOAD", op + " takes steps of 0");
  const int64_t least = step > 0 ? 0 : -1;
  const int64_t most = step > 0 ? length : length - 1;
  const auto bound = [&](std::optional<int64_t> place, int64_t otherwise) {
    if (!place) return otherwise;
    return std::clamp(*place < 0 ? *place + length : *place, least, most);
  };
  const int64_t begin = bound(given(1), step > 0 ? 0 : length - 1);
  const int64_t end = bound(given(2), step > 0 ? length : -1);
  Items part;
  // A step beyond the list takes its first element only.
  const int64_t stride = std::clamp(step, -length - 1, length + 1);
  for (int64_t i = begin; step > 0 ? i < end : i > end; i += stride)
    part.push_back(items[static_cast<size_t>(i)]);
  return part;
}

}  // namespace

std::optional<Items> Interpreter::foldContainer(const jit::Node& node, const Items& inputs) {
  const std::string name = node.kind().toQualString();
  if (isOneOf(name, {"prim::ListConstruct", "prim::TupleConstruct"})) return listOf(inputs);
  if (name == "prim::DictConstruct") {
    auto dict = std::make_shared<Dict>();
    for (size_t i = 0; i + 1 < inputs.size(); i += 2)
      assign(*dict, keyOf(inputs[i], name), inputs[i + 1]);
    return one(std::move(dict));
  }
  if (inputs.empty()) return std::nullopt;
  if (const auto* sizes = std::get_if<SizesItem>(&inputs[0]))
    return foldSizes(node, *sizes, inputs);
  if (const auto dict = dictOf(inputs[0])) return foldDict(node, *dict, inputs);
  if (isList(inputs[0])) return foldList(node, inputs);
  if (name == "aten::mul" && inputs.size() == 2 && isList(inputs[1]))
    return foldList(node, {inputs[1], inputs[0]});
  return std::nullopt;
}

std::optional<Items> Interpreter::foldSizes(const jit::Node& node, const SizesItem& sizes,
                                            const Items& inputs) {
  const std::string name = node.kind().toQualString();
  if (name == "prim::ListUnpack") {
    // An error where there are more axes, or fewer.
    std::vector<double> order(node.outputs().size());
    std::iota(order.begin(), order.end(), 0);
    ProgramSpec::Node check{"aten::permute", {ProgramSpec::Ref{sizes.id}, order}, {}, 1};
    check.required = true;
    nodes_.push_back(std::move(check));
    ++next_;
    Items axes;
    for (size_t i = 0; i < node.outputs().size(); ++i)
      axes.emplace_back(axisOf(sizes.id, static_cast<int64_t>(i)));
    return axes;
  }
  if (name == "aten::__getitem__") return one(axisOf(sizes.id, indexOf(inputs[1], name)));
  if (isOneOf(name, {"aten::len", "aten::eq", "aten::ne"})) return one(UnknownItem{name});
  if (isOneOf(name, {"aten::slice", "aten::add", "aten::copy", "aten::list"})) {
    throw Error(
        "ERR_UNSUPPORTED_OP",
        name +
            " takes a part of the sizes of a tensor whose number of axes is not known; name "
            "them in the model, as in `rows, columns = x.shape`, or trace it: "
            "torch.jit.trace(model, x).save('model.pt')");
  }
  return std::nullopt;
}

std::optional<Items> Interpreter::foldList(const jit::Node& node, const Items& inputs) {
  const std::string name = node.kind().toQualString();
  const auto read = [&](const Item& item) {
    Items items = elements(item, name);
    spend(items.size());
    return items;
  };
  const auto require = [&](size_t length) {
    if (length > kLongest)
      throw Error("ERR_UNSUPPORTED_OP", name + " makes a list that is too long");
    spend(length);
  };
  // The list itself, to be changed.
  const auto change = [&]() -> Items& {
    const auto* list = std::get_if<std::shared_ptr<List>>(&inputs[0]);
    if (list == nullptr)
      throw Error("ERR_UNSUPPORTED_OP", name + " changes a list of the model itself");
    return (*list)->items;
  };

  if (isOneOf(name, {"prim::ListUnpack", "prim::TupleUnpack"})) {
    Items items = read(inputs[0]);
    if (items.size() != node.outputs().size()) {
      throw Error("ERR_MODEL_LOAD", "the model takes " + std::to_string(node.outputs().size()) +
                                        " values from a list of " + std::to_string(items.size()));
    }
    return items;
  }
  if (isOneOf(name, {"prim::TupleIndex", "aten::__getitem__"})) {
    const int64_t index = indexOf(inputs[1], name);
    if (const auto* list = std::get_if<std::shared_ptr<List>>(&inputs[0]))
      return one((*list)->items[position(index, (*list)->items.size(), name)]);
    if (const auto own = ownElements(inputs[0]))
      return one((*own)[position(index, own->size(), name)]);
    const Items items = read(inputs[0]);
    return one(items[position(index, items.size(), name)]);
  }
  if (name == "aten::len") {
    const auto own = ownElements(inputs[0]);
    return one(c10::IValue(static_cast<int64_t>(own ? own->size() : read(inputs[0]).size())));
  }
  if (name == "prim::TupleSlice") {
    const Items items = read(inputs[0]);
    const auto begin = items.begin() + node.i(c10::attr::beg);
    return listOf(Items(begin, begin + (node.i(c10::attr::end) - node.i(c10::attr::beg))));
  }
  if (isOneOf(name, {"aten::copy", "aten::list"})) return listOf(read(inputs[0]));
  if (name == "aten::slice") return listOf(sliceOf(read(inputs[0]), inputs, name));
  if (name == "aten::add" && inputs.size() == 2 && isList(inputs[1])) {
    Items all = read(inputs[0]);
    const Items more = read(inputs[1]);
    require(all.size() + more.size());
    all.insert(all.end(), more.begin(), more.end());
    return listOf(std::move(all));
  }
  if (name == "aten::mul" && inputs.size() == 2) {
    const Items items = read(inputs[0]);
    const int64_t times = std::max<int64_t>(0, indexOf(inputs[1], name));
    if (!items.empty()) require(items.size() * std::min<size_t>(kLongest + 1, times));
    Items all;
    for (int64_t i = 0; !items.empty() && i < times; ++i)
      all.insert(all.end(), items.begin(), items.end());
    return listOf(std::move(all));
  }

  if (name == "aten::append") {
    change().push_back(inputs[1]);
    return one(inputs[0]);
  }
  if (isOneOf(name, {"aten::extend", "aten::add_"}) && isList(inputs[1])) {
    const Items more = read(inputs[1]);
    Items& items = change();
    require(items.size() + more.size());
    items.insert(items.end(), more.begin(), more.end());
    return node.outputs().empty() ? Items{} : one(inputs[0]);
  }
  if (name == "aten::insert") {
    Items& items = change();
    const auto length = static_cast<int64_t>(items.size());
    int64_t index = indexOf(inputs[1], name);
    if (index < 0) index += length;
    items.insert(items.begin() + std::clamp<int64_t>(index, 0, length), inputs[2]);
    return Items{};
  }
  if (isOneOf(name, {"aten::pop", "aten::Delete"})) {
    Items& items = change();
    const auto place = position(indexOf(inputs[1], name), items.size(), name);
    const Item taken = items[place];
    items.erase(items.begin() + static_cast<int64_t>(place));
    return node.outputs().empty() ? Items{} : one(taken);
  }
  if (name == "aten::_set_item") {
    Items& items = change();
    items[position(indexOf(inputs[1], name), items.size(), name)] = inputs[2];
    return node.outputs().empty() ? Items{} : one(inputs[0]);
  }
  if (name == "aten::reverse") {
    std::ranges::reverse(change());
    return Items{};
  }
  if (name == "aten::clear") {
    change().clear();
    return Items{};
  }
  return std::nullopt;
}

std::optional<Items> Interpreter::foldDict(const jit::Node& node, Dict& dict, const Items& inputs) {
  const std::string name = node.kind().toQualString();
  spend(dict.entries.size());
  // The model's own dictionary is not changed: `dict` may be a copy of it.
  const auto requireOwn = [&] {
    if (!std::holds_alternative<std::shared_ptr<Dict>>(inputs[0]))
      throw Error("ERR_UNSUPPORTED_OP", name + " changes a dictionary of the model itself");
  };
  const auto require = [&](const Item& key) {
    const auto found = find(dict, keyOf(key, name));
    if (found == dict.entries.end())
      throw Error("ERR_MODEL_LOAD", name + " asks a dictionary for " + wordsOf(keyOf(key, name)) +
                                        ", which it has not");
    return found;
  };
  const auto each = [&](auto&& of) {
    Items items;
    for (const auto& entry : dict.entries) items.push_back(of(entry));
    return listOf(std::move(items));
  };

  if (name == "aten::__getitem__") return one(require(inputs[1])->second);
  if (name == "aten::len") return one(c10::IValue(static_cast<int64_t>(dict.entries.size())));
  if (name == "aten::__contains__")
    return one(c10::IValue(find(dict, keyOf(inputs[1], name)) != dict.entries.end()));
  if (name == "aten::keys") return each([](const auto& entry) { return Item(entry.first); });
  if (name == "aten::values") return each([](const auto& entry) { return entry.second; });
  if (name == "aten::items") {
    return each([](const auto& entry) {
      return Item(std::make_shared<List>(List{{entry.first, entry.second}}));
    });
  }
  if (isOneOf(name, {"aten::copy", "aten::dict"})) return one(std::make_shared<Dict>(dict));
  if (name == "aten::get") {
    const auto found = find(dict, keyOf(inputs[1], name));
    if (found != dict.entries.end()) return one(found->second);
    return one(inputs.size() > 2 ? inputs[2] : Item(c10::IValue()));
  }

  if (name == "aten::_set_item") {
    requireOwn();
    assign(dict, keyOf(inputs[1], name), inputs[2]);
    return Items{};
  }
  if (name == "aten::setdefault") {
    requireOwn();
    const auto& key = keyOf(inputs[1], name);
    if (find(dict, key) == dict.entries.end()) assign(dict, key, inputs[2]);
    return one(find(dict, key)->second);
  }
  if (isOneOf(name, {"aten::pop", "aten::Delete"})) {
    requireOwn();
    const auto& key = keyOf(inputs[1], name);
    if (inputs.size() > 2 && find(dict, key) == dict.entries.end()) return one(inputs[2]);
    const auto found = require(inputs[1]);
    const Item taken = found->second;
    dict.entries.erase(found);
    return node.outputs().empty() ? Items{} : one(taken);
  }
  if (name == "aten::update") {
    requireOwn();
    const auto other = dictOf(inputs[1]);
    if (other == nullptr) return std::nullopt;
    const auto entries = other->entries;
    for (const auto& [key, item] : entries) assign(dict, key, item);
    return Items{};
  }
  if (name == "aten::clear") {
    requireOwn();
    dict.entries.clear();
    return Items{};
  }
  return std::nullopt;
}

}  // namespace tc::torchscript
