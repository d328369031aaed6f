#include "core/operators/arguments.h"

#include <utility>

#include "core/runtime/error.h"

namespace tc {

template <typename T>
std::optional<T> Arguments::find(const std::string& name, const char* expected) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return std::nullopt;
  if (const T* value = std::get_if<T>(&found->second)) return *value;
  throw Error("ERR_INVALID_ARGUMENT", name + " should be " + expected);
}

std::optional<double> Arguments::number(const std::string& name) const {
  return find<double>(name, "a number");
}

double Arguments::number(const std::string& name, double otherwise) const {
  return number(name).value_or(otherwise);
}

std::optional<int64_t> Arguments::integer(const std::string& name) const {
  const auto value = number(name);
  return value ? std::optional(static_cast<int64_t>(*value)) : std::nullopt;
}

int64_t Arguments::integer(const std::string& name, int64_t otherwise) const {
  return integer(name).value_or(otherwise);
}

std::string Arguments::text(const std::string& name, const std::string& otherwise) const {
  return find<std::string>(name, "a string").value_or(otherwise);
}

bool Arguments::flag(const std::string& name, bool otherwise) const {
  return find<bool>(name, "true or false").value_or(otherwise);
}

uint64_t Arguments::seed(const std::string& name) const {
  return find<uint64_t>(name, "a bigint").value_or(0);
}

at::Tensor Arguments::tensor(const std::string& name) const {
  return find<at::Tensor>(name, "a typed array").value_or(at::Tensor());
}

OperatorPtr Arguments::op(const std::string& name) const {
  return find<OperatorPtr>(name, "an operator").value_or(nullptr);
}

OnIteration Arguments::onIteration(const std::string& name) const {
  return find<OnIteration>(name, "a function").value_or(OnIteration());
}

}  // namespace tc
