#pragma once

#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/runtime/error.h"

namespace tc {

template <typename T>
class Rows;

/// What is chosen by name: losses, operators, solvers, rules. Each row is added, as `Rows`, by the
/// file that the thing itself is in, so that adding one is adding a file. Rows come and go only
/// while nothing else runs.
template <typename T>
class Table {
 public:
  /// `kind` is what messages call one of them: "loss".
  explicit Table(std::string kind) : kind_(std::move(kind)) {}

  /// Null where there is none of that name.
  const T* find(const std::string& name) const {
    const auto row = rows_.find(name);
    return row == rows_.end() ? nullptr : &row->second;
  }
  /// Throws Error ERR_INVALID_ARGUMENT, with the names that there are.
  const T& at(const std::string& name) const {
    if (const T* found = find(name)) return *found;
    std::string known;
    for (const auto& [each, value] : rows_) known += (known.empty() ? "'" : ", '") + each + "'";
    throw Error("ERR_INVALID_ARGUMENT",
                kind_ + " should be one of " + known + ", got '" + name + "'");
  }
  /// All of them, by name.
  const std::map<std::string, T>& rows() const { return rows_; }

 private:
  friend class Rows<T>;

  std::string kind_;
  std::map<std::string, T> rows_;
};

/// Adds rows to a table for as long as it lives: a constant beside the things themselves.
template <typename T>
class Rows {
 public:
  Rows(Table<T>& table, std::initializer_list<std::pair<const char*, T>> rows) : table_(table) {
    for (const auto& [name, value] : rows) {
      if (!table.rows_.emplace(name, value).second) {
        throw std::logic_error("two rows for the " + table.kind_ + " '" + name + "'");
      }
      names_.push_back(name);
    }
  }
  ~Rows() {
    for (const std::string& name : names_) table_.rows_.erase(name);
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

 private:
  Table<T>& table_;
  std::vector<std::string> names_;
};

}  // namespace tc
