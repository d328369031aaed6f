#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/program/named_arguments.h"
#include "core/program/program.h"
#include "core/program/schema.h"
#include "core/runtime/table.h"

namespace tc {

/// A program in the making, in which rules put other nodes in the place of some.
class Rewriting {
 public:
  using Node = ProgramSpec::Node;
  using Argument = ProgramSpec::Argument;

  /// Values of nodes are numbered from `firstOutput`; `output` is read, too.
  Rewriting(const std::vector<Node>& nodes, int64_t firstOutput, int64_t output);

  /// All nodes by their rules; `output` follows the renumbering.
  std::vector<Node> run(const std::vector<Node>& nodes, int64_t& output);

  // --- for rules

  /// Results of the node at hand.
  int64_t outputs() const { return outputs_; }
  /// Whether somebody reads a result of the node at hand.
  bool isUsed(int64_t result) const { return used_.contains(old_ + result); }
  /// Whether somebody reads one after the first.
  bool usesOthers() const;
  /// Adds a node; gives its first result.
  Argument add(const std::string& target, std::vector<Argument> args, int64_t outputs = 1) {
    return keep({target, std::move(args), {}, outputs});
  }
  Argument keep(Node node);
  /// The result of this number of the node at hand is this value.
  void is(int64_t result, const Argument& value);

  /// What there is so far, and the number of the next value.
  const std::vector<Node>& nodes() const { return nodes_; }
  int64_t next() const { return next_; }

 private:
  int64_t current(int64_t value) const;
  bool replace(Node& node);

  int64_t firstOutput_;
  int64_t next_;
  int64_t old_ = 0;  ///< that the first result of the node at hand had
  int64_t outputs_ = 0;
  std::unordered_set<int64_t> used_;
  std::unordered_map<int64_t, int64_t> renumbered_;
  std::vector<Node> nodes_;
};

/// Puts other nodes in the place of one: adds them, and says which values its results are. False
/// where the node stays; the rule may have changed its arguments.
using RewriteRule = bool (*)(Rewriting& r, ProgramSpec::Node& node, const NamedArguments& given);

/// The rules by the operator's name, for every overload: `aten::cdist`. Each kind of operator has a
/// file, which adds its rows.
Table<RewriteRule>& rewriteRules();

/// Words of rules.
namespace rewriting {

using Argument = ProgramSpec::Argument;
using Node = ProgramSpec::Node;
using Ref = ProgramSpec::Ref;
using Float = ProgramSpec::Float;
using Size = ProgramSpec::Size;
using Sizes = ProgramSpec::Sizes;
using List = std::vector<double>;

inline const Argument kNone = std::monostate{};

/// The size of a value along an axis.
inline Size sizeAlong(const Argument& value, int64_t axis) {
  return {Size::Kind::kAxis, std::get<Ref>(value).value, axis, {}};
}

}  // namespace rewriting
}  // namespace tc
