#include "core/program/rewriting/rewriting.h"

#include <limits>
#include <utility>

#include "core/program/rewriting/rewrite.h"
#include "core/program/slots.h"

namespace tc {

Table<RewriteRule>& rewriteRules() {
  static Table<RewriteRule> table("rule");
  return table;
}

Rewriting::Rewriting(const std::vector<Node>& nodes, int64_t firstOutput, int64_t output)
    : firstOutput_(firstOutput), next_(firstOutput) {
  used_.insert(output);
  for (Node node : nodes) renumber(node, [&](const int64_t& value) { used_.insert(value); });
}

std::vector<ProgramSpec::Node> Rewriting::run(const std::vector<Node>& nodes, int64_t& output) {
  int64_t old = firstOutput_;
  for (Node node : nodes) {
    renumber(node, [&](int64_t& value) { value = current(value); });
    old_ = old;
    outputs_ = node.outputs;
    if (!replace(node)) {
      for (int64_t i = 0; i < outputs_; ++i) renumbered_[old + i] = next_ + i;
      keep(std::move(node));
    }
    old += outputs_;
  }
  output = current(output);
  return std::move(nodes_);
}

bool Rewriting::usesOthers() const {
  for (int64_t i = 1; i < outputs_; ++i) {
    if (isUsed(i)) return true;
  }
  return false;
}

ProgramSpec::Argument Rewriting::keep(Node node) {
  const int64_t value = next_;
  next_ += node.outputs;
  nodes_.push_back(std::move(node));
  return ProgramSpec::Ref{value};
}

void Rewriting::is(int64_t result, const Argument& value) {
  renumbered_[old_ + result] = std::get<ProgramSpec::Ref>(value).value;
}

/// The new number of a value. One that does not exist yet goes on not existing.
int64_t Rewriting::current(int64_t value) const {
  if (value < firstOutput_) return value;
  const auto found = renumbered_.find(value);
  return found == renumbered_.end() ? std::numeric_limits<int64_t>::max() : found->second;
}

bool Rewriting::replace(Node& node) {
  const auto colon = node.target.find("::");
  if (colon == std::string::npos || !node.target.starts_with("aten::")) return false;
  const RewriteRule* rule =
      rewriteRules().find(node.target.substr(0, node.target.find('.', colon)));
  return rule != nullptr &&
         (*rule)(*this, node, NamedArguments(node, findOperator(node.target).schema()));
}

std::vector<ProgramSpec::Node> rewritten(const std::vector<ProgramSpec::Node>& nodes,
                                         int64_t firstOutput, int64_t& output) {
  return Rewriting(nodes, firstOutput, output).run(nodes, output);
}

}  // namespace tc
