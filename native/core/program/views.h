#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/program/program.h"

namespace tc {

/// How the results of a node lie in memory.
enum class Sharing {
  kFresh,    ///< in memory of their own
  kView,     ///< in that of its first argument
  kPerhaps,  ///< perhaps in that of its arguments, or of some of them
};

Sharing sharingOf(const ProgramSpec::Node& node, const c10::OperatorHandle& op);

/// The node that gives result `index` of a node that shares memory (kView), and nothing else: an
/// element of a list is a slice. Its first argument is what it is a view of. Nothing where there is
/// no such operator.
std::optional<ProgramSpec::Node> singleView(const ProgramSpec::Node& node,
                                            const c10::OperatorHandle& op, int64_t index);

/// Adds a node of one result to a program; returns the number of its value.
using Emit = std::function<int64_t(ProgramSpec::Node node)>;

/// `view` of a value, however it lies in memory: where changes in place went, results may lie
/// otherwise than what was changed.
int64_t viewOf(const ProgramSpec::Node& view, int64_t value, const Emit& emit);

/// `base` where `part` stands in the place of its `view`: what is left of a change of the view in
/// place. Derivatives do not follow a change through `detach`, where `base` has some
/// (`differentiated`). Nothing for views whose elements cannot be put back.
std::optional<int64_t> putBack(const ProgramSpec::Node& view, int64_t base, int64_t part,
                               bool differentiated, const Emit& emit);

/// The value `changed` with the derivatives of `old`.
int64_t withDerivativesOf(int64_t old, int64_t changed, const Emit& emit);

}  // namespace tc
