#include "core/program/functional.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/program/schema.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

using Argument = ProgramSpec::Argument;

/// Calls `function` with a reference to every tensor that an argument passes to its operator.
template <typename Function>
void forEachTensor(Argument& argument, Function&& function) {
  if (auto* ref = std::get_if<ProgramSpec::Ref>(&argument)) function(ref->value);
  if (auto* refs = std::get_if<ProgramSpec::Refs>(&argument)) {
    for (auto& value : refs->values) {
      if (value) function(*value);
    }
  }
}

template <typename Function>
void forEachTensor(ProgramSpec::Node& node, Function&& function) {
  for (Argument& argument : node.args) forEachTensor(argument, function);
  for (auto& [name, argument] : node.kwargs) forEachTensor(argument, function);
}

/// `aten::add.Tensor` for `aten::add_.Tensor`.
std::optional<std::string> pureName(const std::string& target) {
  const auto dot = target.find('.', target.find("::"));
  const size_t end = dot == std::string::npos ? target.size() : dot;
  if (end == 0 || target[end - 1] != '_' || target.rfind("aten::", 0) != 0) return std::nullopt;
  return target.substr(0, end - 1) + target.substr(end);
}

/// What gives the result that `op`, named `target`, writes: of the name without its underscore the
/// overload that takes the same arguments. `pow.Scalar` is not that of `pow_.Scalar`: its first
/// argument is the number; `pow.Tensor_Scalar` is.
std::optional<std::string> pureForm(const std::string& target, const c10::FunctionSchema& written) {
  const auto name = pureName(target);
  if (!name) return std::nullopt;
  const auto dot = name->find('.');
  std::vector<std::string> candidates = {*name};
  if (dot != std::string::npos)
    candidates.push_back(name->substr(0, dot) + ".Tensor_" + name->substr(dot + 1));
  for (const std::string& candidate : candidates) {
    const auto end = std::min(candidate.find('.'), candidate.size());
    const auto overload = end == candidate.size() ? "" : candidate.substr(end + 1);
    const auto op = c10::Dispatcher::singleton().findSchema({candidate.substr(0, end), overload});
    if (!op || op->schema().is_mutable()) continue;
    const auto& pure = op->schema().arguments();
    const auto& arguments = written.arguments();
    if (pure.size() < arguments.size()) continue;
    const bool same = std::equal(
        arguments.begin(), arguments.end(), pure.begin(),
        [](const auto& left, const auto& right) { return *left.type() == *right.type(); });
    if (same) return candidate;
  }
  return std::nullopt;
}

/// Which values may lie in the same memory: sets that grow as operators hand through what they are
/// given.
class SharedMemory {
 public:
  /// A value in memory of its own.
  void add(int64_t value) {
    parents_[value] = value;
    members_[value] = {value};
  }
  void join(int64_t left, int64_t right) {
    left = rootOf(left);
    right = rootOf(right);
    if (left == right) return;
    if (members_[left].size() < members_[right].size()) std::swap(left, right);
    auto& joined = members_[left];
    const auto& other = members_[right];
    joined.insert(joined.end(), other.begin(), other.end());
    members_.erase(right);
    parents_[right] = left;
  }
  const std::vector<int64_t>& with(int64_t value) { return members_[rootOf(value)]; }

 private:
  int64_t rootOf(int64_t value) {
    const auto found = parents_.find(value);
    if (found == parents_.end()) {
      add(value);
      return value;
    }
    int64_t root = found->second;
    while (parents_[root] != root) root = parents_[root] = parents_[parents_[root]];
    return parents_[value] = root;
  }

  std::unordered_map<int64_t, int64_t> parents_;
  std::unordered_map<int64_t, std::vector<int64_t>> members_;
};

class Functionalization {
 public:
  Functionalization(std::vector<ProgramSpec::Node> nodes, int64_t firstOutput)
      : nodes_(std::move(nodes)), firstOutput_(firstOutput), next_(firstOutput) {}

  std::vector<ProgramSpec::Node> run(int64_t& output) {
    for (size_t i = 0; i < nodes_.size(); ++i)
      forEachTensor(nodes_[i], [&](const int64_t& value) { lastReader_[value] = i; });
    lastReader_[output] = nodes_.size();
    for (now_ = 0; now_ < nodes_.size(); ++now_) {
      ProgramSpec::Node& node = nodes_[now_];
      forEachTensor(node, [&](int64_t& value) { value = latest(value); });
      const auto op = findOperator(node.target);
      const bool fresh = op.schema().is_mutable() ? replace(node, op) : returnsFreshMemory(op);
      for (int64_t i = 0; i < node.outputs; ++i) {
        memory_.add(next_ + i);
        // Its results may be views of any of its arguments.
        if (!fresh)
          forEachTensor(node, [&](const int64_t& value) { memory_.join(next_ + i, value); });
      }
      next_ += node.outputs;
    }
    output = latest(output);
    return std::move(nodes_);
  }

 private:
  int64_t latest(int64_t value) const {
    for (auto found = renamed_.find(value); found != renamed_.end(); found = renamed_.find(value))
      value = found->second;
    return value;
  }

  /// Whether a change of this value, at the node at hand, shows in nothing but its later readers:
  /// the memory is that of a value of a node, and of those that may share it nobody reads another.
  bool isOurs(int64_t changed) {
    for (const int64_t value : memory_.with(changed)) {
      if (value < firstOutput_) return false;
      const auto reader = lastReader_.find(value);
      if (value != changed && reader != lastReader_.end() && reader->second > now_) return false;
    }
    return true;
  }

  /// Makes `node` pure. Returns whether its result has memory of its own.
  bool replace(ProgramSpec::Node& node, const c10::OperatorHandle& op) {
    const auto refuse = [&](const std::string& reason) {
      return Error("ERR_UNSUPPORTED_OP",
                   node.target + " changes its input in place, " + reason +
                       "; write the model without it, or export it in functional form: "
                       "torch.export.export(model, inputs).run_decompositions({})");
    };
    const auto& arguments = op.schema().arguments();
    for (size_t i = 0; i < arguments.size(); ++i) {
      const auto* alias = arguments[i].alias_info();
      if (alias != nullptr && alias->isWrite() != (i == 0))
        throw refuse("and not only its first argument");
    }
    const auto name = pureForm(node.target, op.schema());
    const Argument* first = node.args.empty() ? nullptr : &node.args.front();
    if (const auto named = node.kwargs.find(arguments.front().name());
        first == nullptr && named != node.kwargs.end()) {
      first = &named->second;
    }
    const auto* changed = first == nullptr ? nullptr : std::get_if<ProgramSpec::Ref>(first);
    if (!name || changed == nullptr) throw refuse("and has no form that does not");
    if (!isOurs(changed->value)) throw refuse("which other values of the model may share");
    renamed_[changed->value] = next_;
    // Who read the one reads the other.
    const size_t last = std::exchange(lastReader_[changed->value], 0);
    lastReader_[next_] = std::max(lastReader_[next_], last);
    node.target = *name;
    return returnsFreshMemory(findOperator(*name));
  }

  std::vector<ProgramSpec::Node> nodes_;
  int64_t firstOutput_;
  int64_t next_;
  size_t now_ = 0;  ///< the node at hand
  SharedMemory memory_;
  /// The last node that reads a value; as many as there are nodes where it is the output.
  std::unordered_map<int64_t, size_t> lastReader_;
  std::unordered_map<int64_t, int64_t> renamed_;
};

}  // namespace

std::vector<ProgramSpec::Node> functional(const std::vector<ProgramSpec::Node>& nodes,
                                          int64_t firstOutput, int64_t& output) {
  return Functionalization(nodes, firstOutput).run(output);
}

}  // namespace tc
