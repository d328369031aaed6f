#include "core/program/functional.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/program/pure_operators.h"
#include "core/program/schema.h"
#include "core/program/slots.h"
#include "core/program/views.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

using Argument = ProgramSpec::Argument;
using Node = ProgramSpec::Node;
using Ref = ProgramSpec::Ref;

/// The number of a value that does not exist: whoever reads it is refused later.
constexpr int64_t kNowhere = std::numeric_limits<int64_t>::max();

/// Nodes that a node may become, on average: each change of a view repeats the views before it.
constexpr size_t kMostGrowth = 64;

/// A change in place that has not reached the whole memory yet.
struct Write {
  std::string target;       ///< the operator
  std::vector<Node> chain;  ///< the views that it went through
  int64_t value;
};

/// What values lie in.
struct Memory {
  int64_t value;  ///< all of it, after the changes before `pending`
  std::vector<Write> pending;
  size_t changes = 0;
  bool constant = false;   ///< it outlives a run
  bool wasRead = false;    ///< of a constant: before a change
  bool untouched = false;  ///< nothing has written to it
  /// The operator that changed a constant, so that the next run would find another.
  std::string carriedBy;
  /// The operator that changed what this may share memory with.
  std::string changedBy;
  /// The operator that changed it through `detach`, by what has derivatives.
  std::string derivedBy;
};

/// A value that may be a view of a memory.
struct View {
  size_t memory;
  std::vector<Node> chain;
  int64_t value;  ///< what it was when the memory had been changed `seen` times
  size_t seen = 0;
};

/// Sets of memories of which nobody knows whether they are the same.
class Doubtful {
 public:
  void join(size_t left, size_t right) {
    left = rootOf(left);
    right = rootOf(right);
    if (left == right) return;
    if (membersOf(left).size() < membersOf(right).size()) std::swap(left, right);
    auto& joined = membersOf(left);
    const std::vector<size_t> other = std::move(membersOf(right));
    joined.insert(joined.end(), other.begin(), other.end());
    members_.erase(right);
    parents_[right] = left;
  }
  const std::vector<size_t>& with(size_t memory) { return membersOf(rootOf(memory)); }

 private:
  std::vector<size_t>& membersOf(size_t root) {
    auto& members = members_[root];
    if (members.empty()) members = {root};
    return members;
  }
  size_t rootOf(size_t memory) {
    for (auto found = parents_.find(memory); found != parents_.end(); found = parents_.find(memory))
      memory = found->second;
    return memory;
  }

  std::unordered_map<size_t, size_t> parents_;
  std::unordered_map<size_t, std::vector<size_t>> members_;
};

bool isDetached(const View& view) {
  return std::ranges::any_of(view.chain,
                             [](const Node& each) { return each.target == "aten::detach"; });
}

/// `aten::copy` of `aten::copy.default`.
std::string_view nameOf(std::string_view target) { return target.substr(0, target.find('.')); }

/// Operators that look at the shape and kind of their first argument alone.
bool looksOnly(std::string_view target) {
  const std::string_view name = nameOf(target);
  return name.ends_with("_like") || name.starts_with("aten::new_") || name == "aten::copy" ||
         name == "aten::fill";
}

/// Operators that put values into their first argument, as functional graphs have them for writes.
bool putsInto(std::string_view target) {
  const std::string_view name = nameOf(target);
  return name.ends_with("_scatter") || name == "aten::index_put" || name == "aten::index_copy" ||
         name == "aten::index_fill" || name == "aten::masked_fill" || name == "aten::scatter";
}

/// `aten::chunk` of `aten::unsafe_chunk`: the same views, whose schema does not say that they are.
std::string asView(std::string target) {
  constexpr std::string_view kUnsafe = "aten::unsafe_";
  return target.starts_with(kUnsafe) ? "aten::" + target.substr(kUnsafe.size()) : target;
}

class Functionalization {
 public:
  explicit Functionalization(const ProgramSpec& spec)
      : first_(static_cast<int64_t>(spec.parameters.size() + spec.inputs.size() +
                                    spec.constants.size())),
        next_(first_),
        limit_(kMostGrowth * (spec.nodes.size() + 16)) {
    const size_t constants = spec.parameters.size() + spec.inputs.size();
    for (int64_t value = 0; value < first_; ++value) {
      define(value);
      memories_.back().constant = static_cast<size_t>(value) >= constants;
      differentiated_.push_back(static_cast<size_t>(value) < spec.parameters.size());
    }
    for (const auto& values : spec.sharing) {
      for (size_t i = 1; i < values.size(); ++i) join(values.front(), values[i]);
    }
  }

  std::vector<Node> run(const std::vector<Node>& nodes, int64_t& output) {
    for (const Node& node : nodes) {
      if (node.outputs < 1) throw Error("ERR_MODEL_LOAD", node.target + " produces no value");
      const auto op = findOperator(node.target);
      target_ = node.target;
      if (op.schema().is_mutable()) {
        change(node, op);
      } else {
        keep(node, op);
      }
    }
    output = read(output);
    return needed(output);
  }

 private:
  // --- the program that comes out

  int64_t emit(Node node) {
    if (nodes_.size() >= limit_)
      throw Error("ERR_UNSUPPORTED_OP",
                  target_ + " changes views of views in place, more often than can be followed");
    bool differentiated = false;
    if (hasDerivatives(node.target)) {
      renumber(node, [&](const int64_t& value) {
        differentiated = differentiated || isDifferentiated(value);
      });
    }
    const int64_t value = next_;
    next_ += node.outputs;
    differentiated_.insert(differentiated_.end(), static_cast<size_t>(node.outputs),
                           differentiated);
    nodes_.push_back(std::move(node));
    return value;
  }
  Emit emitter() {
    return [this](Node node) { return emit(std::move(node)); };
  }
  bool isDifferentiated(int64_t value) const {
    return value >= 0 && value < next_ && differentiated_[static_cast<size_t>(value)];
  }

  /// The nodes that `output` needs, renumbered.
  std::vector<Node> needed(int64_t& output) {
    std::vector<bool> isNeeded(static_cast<size_t>(next_), false);
    const auto need = [&](const int64_t& value) {
      if (value >= 0 && value < next_) isNeeded[static_cast<size_t>(value)] = true;
    };
    need(output);
    std::vector<bool> kept(nodes_.size(), false);
    int64_t begin = next_;
    for (size_t i = nodes_.size(); i-- > 0;) {
      begin -= nodes_[i].outputs;
      for (int64_t k = 0; k < nodes_[i].outputs; ++k)
        kept[i] = kept[i] || isNeeded[static_cast<size_t>(begin + k)];
      kept[i] = kept[i] || nodes_[i].required;
      if (kept[i]) renumber(nodes_[i], need);
    }
    std::vector<int64_t> numbers(static_cast<size_t>(next_), kNowhere);
    const auto renew = [&](int64_t& value) {
      if (value >= first_ && value < next_) value = numbers[static_cast<size_t>(value)];
    };
    std::vector<Node> result;
    int64_t old = first_;
    int64_t number = first_;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const int64_t outputs = nodes_[i].outputs;
      if (kept[i]) {
        renumber(nodes_[i], renew);
        for (int64_t k = 0; k < outputs; ++k) numbers[static_cast<size_t>(old + k)] = number++;
        result.push_back(std::move(nodes_[i]));
      }
      old += outputs;
    }
    renew(output);
    return result;
  }

  // --- values of the program that goes in

  /// The next value, in memory of its own.
  Memory& define(int64_t value) {
    views_.push_back({memories_.size(), {}, value});
    objects_.push_back(views_.size() - 1);
    memories_.emplace_back();
    memories_.back().value = value;
    return memories_.back();
  }
  View* viewAt(int64_t old) {
    const bool exists = old >= 0 && static_cast<size_t>(old) < objects_.size();
    return exists ? &views_[objects_[static_cast<size_t>(old)]] : nullptr;
  }

  /// A value of the same shape and kind.
  int64_t current(int64_t old) {
    const View* view = viewAt(old);
    return view == nullptr ? kNowhere : view->value;
  }

  /// What a value is now, after all changes.
  int64_t read(int64_t old) {
    View* const view = viewAt(old);
    if (view == nullptr) return kNowhere;
    Memory& memory = memories_[view->memory];
    if (memory.constant) memory.wasRead = true;
    if (!memory.carriedBy.empty()) refuseState(memory.carriedBy);
    if (memory.untouched)
      throw Error("ERR_UNSUPPORTED_OP", target_ + " reads memory that nothing has written to");
    if (!memory.changedBy.empty()) refuse(memory.changedBy, kShared);
    if (view->seen == memory.changes) return view->value;
    if (!memory.derivedBy.empty() && isDetached(*view)) refuseDetached(memory.derivedBy);
    for (const Write& write : memory.pending) memory.value = whole(memory.value, write);
    memory.pending.clear();
    view->value = memory.value;
    for (const Node& each : view->chain) view->value = viewOf(each, view->value, emitter());
    view->seen = memory.changes;
    return view->value;
  }

  /// All of a memory after a change of a part.
  int64_t whole(int64_t before, const Write& write) {
    std::vector<int64_t> around;
    for (const Node& each : write.chain) {
      around.push_back(before);
      if (&each != &write.chain.back()) before = viewOf(each, before, emitter());
    }
    int64_t part = write.value;
    for (size_t i = write.chain.size(); i-- > 0;) {
      const auto put =
          putBack(write.chain[i], around[i], part, isDifferentiated(around[i]), emitter());
      if (!put)
        refuse(write.target, "through " + write.chain[i].target + ", from which no way leads back");
      part = *put;
    }
    return part;
  }

  /// A node that reads the latest values.
  Node latest(const Node& node) {
    return latest(node, looksOnly(node.target), putsInto(node.target));
  }
  /// Of a node whose first argument is left out.
  Node latestOthers(const Node& node) { return latest(node, false, false); }

  /// `looks` at the first argument alone, or `puts` values into it.
  Node latest(const Node& node, bool looks, bool puts) {
    Node result = node;
    const auto translate = [&](Argument& argument, bool first) {
      const bool data = std::holds_alternative<Ref>(argument) ||
                        std::holds_alternative<ProgramSpec::Refs>(argument);
      renumber(argument, [&](int64_t& value) {
        if (!data || (looks && first)) {
          value = current(value);
        } else {
          value = puts && first ? readUnwritten(value) : read(value);
        }
      });
    };
    for (Argument& argument : result.args) translate(argument, &argument == result.args.data());
    for (auto& [name, argument] : result.kwargs) translate(argument, false);
    return result;
  }

  /// What a value is now, whether something has written to it or not.
  int64_t readUnwritten(int64_t old) {
    const View* const view = viewAt(old);
    if (view == nullptr) return kNowhere;
    const size_t memory = view->memory;
    const bool untouched = std::exchange(memories_[memory].untouched, false);
    const int64_t value = read(old);
    memories_[memory].untouched = untouched;
    return value;
  }

  // --- nodes that change nothing

  void keep(const Node& node, const c10::OperatorHandle& op) {
    if (auto filled = filledWithNothing(node)) {
      define(emit(latest(*filled))).untouched = true;
      return;
    }
    const Sharing sharing = sharingOf(node, op);
    const auto* first = node.args.empty() ? nullptr : std::get_if<Ref>(&node.args.front());
    const View* const whole = first == nullptr ? nullptr : viewAt(first->value);
    if (sharing == Sharing::kView && whole != nullptr) {
      view(node, op, *whole);
      return;
    }
    const int64_t value = emit(latest(node));
    for (int64_t i = 0; i < node.outputs; ++i) {
      define(value + i);
      if (sharing == Sharing::kFresh) continue;
      const size_t memory = memories_.size() - 1;
      forEachTensor(node, [&](int64_t each) {
        if (const View* of = viewAt(each)) doubtful_.join(memory, of->memory);
      });
    }
  }

  // A copy of a view: those there are move as others are added.
  // NOLINTNEXTLINE(performance-unnecessary-value-param)
  void view(const Node& node, const c10::OperatorHandle& op, View whole) {
    Memory& memory = memories_[whole.memory];
    // Views of what nobody has written to are there to be written.
    const bool untouched = std::exchange(memory.untouched, false);
    const Node now = latest(node);
    memory.untouched = untouched;
    const size_t changes = memory.changes;
    const int64_t value = viewOf(now, std::get<Ref>(now.args.front()).value, emitter());
    for (int64_t i = 0; i < node.outputs; ++i) {
      auto single = singleView(now, op, i);
      if (!single) {
        define(value + i);
        doubtful_.join(memories_.size() - 1, whole.memory);
        continue;
      }
      View result{whole.memory, whole.chain, value + i, changes};
      result.chain.push_back(std::move(*single));
      views_.push_back(std::move(result));
      objects_.push_back(views_.size() - 1);
    }
  }

  // --- nodes that change their first argument

  static constexpr const char* kShared = "which other values of the model may share";

  [[noreturn]] static void refuse(const std::string& target, const std::string& reason) {
    throw Error("ERR_UNSUPPORTED_OP",
                target + " changes its input in place, " + reason +
                    "; write the model without it, or export it in functional form: "
                    "torch.export.export(model, inputs).run_decompositions({})");
  }

  [[noreturn]] static void refuseDetached(const std::string& target) {
    throw Error(
        "ERR_UNSUPPORTED_OP",
        target +
            " changes what detach() gave in place, by what has derivatives, and other views "
            "of it are changed after that; write it without changes in place: "
            "q = q * h, not q.mul_(h)");
  }

  [[noreturn]] static void refuseState(const std::string& target) {
    throw Error("ERR_UNSUPPORTED_OP",
                target +
                    " changes its input in place, a buffer of the model, so that each run would "
                    "give other numbers; export the model after eval(), or without the change");
  }

  void change(const Node& node, const c10::OperatorHandle& op) {
    const auto& arguments = op.schema().arguments();
    for (size_t i = 0; i < arguments.size(); ++i) {
      const auto* alias = arguments[i].alias_info();
      if (alias != nullptr && alias->isWrite() != (i == 0))
        refuse(node.target, "and not only its first argument");
    }
    const auto pure = pureForm(node.target, op.schema());
    const auto* changed = node.args.empty() ? nullptr : std::get_if<Ref>(&node.args.front());
    if (!pure && op.hasTag(at::Tag::nondeterministic_seeded)) refuseRandom(op.schema().name());
    if (!pure || changed == nullptr || node.outputs > 1)
      refuse(node.target, "and has no form that does not");
    View* const view = viewAt(changed->value);
    if (view == nullptr)
      throw Error("ERR_MODEL_LOAD", node.target + " changes a value before it exists");
    const size_t object = objects_[static_cast<size_t>(changed->value)];
    if (op.hasTag(at::Tag::inplace_view)) {
      look(*view, latest({pure->target, node.args, node.kwargs, 1}));
    } else {
      write(node, *pure, *view, changed->value);
    }
    // What it returns is what it changed.
    if (node.outputs == 1) objects_.push_back(object);
  }

  /// Two values of the program's own, which are views of one memory.
  void join(int64_t left, int64_t right) {
    if (left < 0 || right < 0 || left >= first_ || right >= first_)
      throw Error("ERR_MODEL_LOAD", "memory is shared by a value that the program does not have");
    doubtful_.join(static_cast<size_t>(left), static_cast<size_t>(right));
    shared_.insert({static_cast<size_t>(left), static_cast<size_t>(right)});
  }

  /// The value becomes a view of itself (`squeeze_`).
  void look(View& view, const Node& now) {
    view.chain.push_back(now);
    view.value = viewOf(now, std::get<Ref>(now.args.front()).value, emitter());
  }

  void write(const Node& node, const PureForm& pure, View& view, int64_t old) {
    Memory& memory = memories_[view.memory];
    if (memory.constant && shared_.contains(view.memory)) refuse(node.target, kShared);
    if (memory.constant && !pure.idempotent) {
      const bool whole = pure.overwrites && view.chain.empty() && memory.carriedBy.empty();
      if (memory.wasRead) refuseState(node.target);
      if (!whole) {
        memory.carriedBy = node.target;
        return;
      }
      memory.constant = false;  // what it was does not count
    }
    Node now{pure.target, node.args, node.kwargs, 1, {}};
    Node others = now;
    others.args.erase(others.args.begin());
    others = latestOthers(others);
    const int64_t before = pure.overwrites ? current(old) : read(old);
    others.args.insert(others.args.begin(), Ref{before});
    int64_t value = emit(std::move(others));
    if (pure.changesType) value = emit({"aten::type_as", {Ref{value}, Ref{before}}, {}, 1, {}});
    if (!node.differentiated) {
      if (isDifferentiated(before)) {
        value = withDerivativesOf(pure.overwrites ? read(old) : before, value, emitter());
      } else if (isDifferentiated(value)) {
        value = emit({"aten::detach", {Ref{value}}, {}, 1, {}});
      }
    }

    for (const size_t other : doubtful_.with(view.memory)) {
      if (other == view.memory) continue;
      if (memories_[other].constant) refuse(node.target, kShared);
      memories_[other].changedBy = node.target;
    }
    if (isDifferentiated(value) && isDetached(view)) memory.derivedBy = node.target;
    memory.untouched = false;
    memory.changes += 1;
    if (view.chain.empty() && pure.overwrites) memory.changedBy.clear();
    if (view.chain.empty()) {
      memory.pending.clear();
      memory.value = value;
    } else {
      memory.pending.push_back({node.target, view.chain, value});
    }
    view.value = value;
    view.seen = memory.changes;
  }

  int64_t first_;  ///< value that a node produces
  int64_t next_;
  size_t limit_;
  std::vector<Node> nodes_;
  /// Whether derivatives by the parameters reach a value.
  std::vector<bool> differentiated_;

  std::string target_;  ///< of the node at hand
  std::vector<Memory> memories_;
  std::vector<View> views_;
  /// The view that a value of the old program is.
  std::vector<size_t> objects_;
  Doubtful doubtful_;
  std::unordered_set<size_t> shared_;  ///< memories that are others' too, from the beginning
};

}  // namespace

std::vector<ProgramSpec::Node> functional(const ProgramSpec& spec, int64_t& output) {
  const bool pure = std::none_of(spec.nodes.begin(), spec.nodes.end(), [](const Node& node) {
    return findOperator(node.target).schema().is_mutable() || filledWithNothing(node);
  });
  if (pure) return spec.nodes;
  std::vector<Node> nodes = spec.nodes;
  for (Node& node : nodes) node.target = asView(std::move(node.target));
  return Functionalization(spec).run(nodes, output);
}

}  // namespace tc
