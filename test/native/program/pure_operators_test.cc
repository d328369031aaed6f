// What changes in place has a form that does not.

#include "core/program/pure_operators.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <set>
#include <string>

#include "core/program/allowed_operators.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

TEST_CASE("every operator in place whose pure form models may have is followed") {
  // They change what memory a tensor has, or what is known of it, rather than what it holds.
  const std::set<std::string> others = {"aten::set_", "aten::requires_grad_", "aten::resize_"};
  auto& dispatcher = c10::Dispatcher::singleton();
  std::set<std::string> allowed;
  for (const OperatorFamily& family : allowedOperators()) {
    const std::string names(family.names);
    for (size_t at = 1; at < names.size();) {
      const size_t end = std::min(names.find(' ', at), names.size());
      allowed.insert("aten::" + names.substr(at, end - at));
      at = end + 1;
    }
  }
  int64_t followed = 0;
  for (const c10::OperatorName& name : dispatcher.getAllOpNames()) {
    const auto op = dispatcher.findSchema(name);
    if (!op || !name.name.starts_with("aten::") || !name.name.ends_with('_') ||
        name.name.ends_with("__") || others.contains(name.name) ||
        !allowed.contains(name.name.substr(0, name.name.size() - 1)))
      continue;
    const auto& arguments = op->schema().arguments();
    if (arguments.empty() || arguments.front().alias_info() == nullptr) continue;
    if (op->hasTag(at::Tag::nondeterministic_seeded)) continue;  // refused as what draws numbers
    const std::string target =
        name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
    CAPTURE(target);
    CHECK(pureForm(target, op->schema()).has_value());
    ++followed;
  }
  CHECK(followed > 150);
}
