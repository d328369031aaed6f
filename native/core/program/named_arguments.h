#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/program/program.h"

namespace tc {

/// A node's arguments by the names of its operator's schema.
class NamedArguments {
 public:
  NamedArguments(const ProgramSpec::Node& node, const c10::FunctionSchema& schema)
      : node_(node), schema_(schema) {}

  /// None where it is not given.
  const ProgramSpec::Argument& operator[](std::string_view name) const {
    static const ProgramSpec::Argument kNone = std::monostate{};
    for (size_t i = 0; i < node_.args.size() && i < schema_.arguments().size(); ++i) {
      if (schema_.arguments()[i].name() == name) return node_.args[i];
    }
    const auto named = node_.kwargs.find(std::string(name));
    return named == node_.kwargs.end() ? kNone : named->second;
  }
  bool isTensor(std::string_view name) const {
    return std::holds_alternative<ProgramSpec::Ref>((*this)[name]);
  }
  bool isFalse(std::string_view name) const {
    const auto* flag = std::get_if<bool>(&(*this)[name]);
    return flag != nullptr && !*flag;
  }
  bool isTrue(std::string_view name) const {
    const auto* flag = std::get_if<bool>(&(*this)[name]);
    return flag != nullptr && *flag;
  }
  /// A number given, or else.
  std::optional<double> number(std::string_view name, std::optional<double> otherwise) const {
    const ProgramSpec::Argument& value = (*this)[name];
    if (const auto* real = std::get_if<ProgramSpec::Float>(&value)) return real->value;
    if (const auto* plain = std::get_if<double>(&value)) return *plain;
    return std::holds_alternative<std::monostate>(value) ? otherwise : std::nullopt;
  }
  bool takes(std::string_view name) const {
    return schema_.argumentIndexWithName(name).has_value();
  }

 private:
  const ProgramSpec::Node& node_;
  const c10::FunctionSchema& schema_;
};

}  // namespace tc
