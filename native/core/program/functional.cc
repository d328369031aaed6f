#include "core/program/functional.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

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

class Functionalisation {
 public:
  Functionalisation(std::vector<ProgramSpec::Node> nodes, int64_t firstOutput)
      : nodes_(std::move(nodes)), next_(firstOutput) {}

  std::vector<ProgramSpec::Node> run(int64_t& output) {
    for (ProgramSpec::Node& node : nodes_) {
      forEachTensor(node, [&](int64_t& value) { value = latest(value); });
      const auto op = findOperator(node.target);
      const bool fresh = op.schema().is_mutable() ? replace(node, op) : returnsFreshMemory(op);
      if (fresh) {
        for (int64_t i = 0; i < node.outputs; ++i) own_.insert(next_ + i);
      } else {  // its results may be views of any of its arguments
        forEachTensor(node, [&](const int64_t& value) { own_.erase(value); });
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
    if (own_.count(changed->value) == 0) throw refuse("which other values of the model may share");
    renamed_[changed->value] = next_;
    node.target = *name;
    return returnsFreshMemory(findOperator(*name));
  }

  std::vector<ProgramSpec::Node> nodes_;
  int64_t next_;
  std::unordered_set<int64_t> own_;  ///< values in memory that no other value shares
  std::unordered_map<int64_t, int64_t> renamed_;
};

}  // namespace

std::vector<ProgramSpec::Node> functional(const std::vector<ProgramSpec::Node>& nodes,
                                          int64_t firstOutput, int64_t& output) {
  return Functionalisation(nodes, firstOutput).run(output);
}

}  // namespace tc
