#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "core/operators/linear_operator.h"

namespace tc {

/// Called after each iteration on the thread that solves; `false` ends the solver.
using OnIteration =
    std::function<bool(int64_t rightHandSide, int64_t iteration, double residualNorm)>;

/// What an operator or a solver is told beside what all of them are: its own options, by name.
/// Whoever passes them on need not know them. An option that was not given has its default; one of
/// another type throws Error ERR_INVALID_ARGUMENT.
class Arguments {
 public:
  using Value =
      std::variant<bool, double, uint64_t, std::string, at::Tensor, OperatorPtr, OnIteration>;

  void set(std::string name, Value value) { values_[std::move(name)] = std::move(value); }

  double number(const std::string& name, double otherwise) const;
  std::optional<double> number(const std::string& name) const;
  int64_t integer(const std::string& name, int64_t otherwise) const;
  std::optional<int64_t> integer(const std::string& name) const;
  std::string text(const std::string& name, const std::string& otherwise) const;
  bool flag(const std::string& name, bool otherwise = false) const;
  /// 0 unless given.
  uint64_t seed(const std::string& name) const;
  /// On the CPU; undefined unless given.
  at::Tensor tensor(const std::string& name) const;
  /// Null unless given.
  OperatorPtr op(const std::string& name) const;
  /// Empty unless given.
  OnIteration onIteration(const std::string& name) const;

 private:
  template <typename T>
  std::optional<T> find(const std::string& name, const char* expected) const;

  std::map<std::string, Value> values_;
};

}  // namespace tc
