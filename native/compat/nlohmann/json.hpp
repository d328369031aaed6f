#pragma once

// libtorch's functorch headers include nlohmann/json.hpp, which libtorch does not ship, only to declare how an
// interpreter is serialized. Nothing here serializes one: these declarations let the headers compile, and a use would
// fail to link.

#include <string>

namespace nlohmann {

class json {
 public:
  json();
  template <typename T>
  explicit json(const T& value);
  static json parse(const std::string& text);
  std::string dump() const;
  template <typename T>
  T get() const;
};

}  // namespace nlohmann
