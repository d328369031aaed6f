#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <variant>

namespace tc {

/// The options of a loss, by PyTorch's names in camel case. One that was not given has its default;
/// one of another type throws Error ERR_INVALID_ARGUMENT.
class LossOptions {
 public:
  using Value = std::variant<bool, double, at::Tensor>;

  void set(std::string name, Value value) { values_[std::move(name)] = std::move(value); }
  /// With the tensors on this device.
  LossOptions on(c10::Device device) const;

  bool flag(const std::string& name, bool otherwise) const;
  double number(const std::string& name, double otherwise) const;
  int64_t integer(const std::string& name, int64_t otherwise) const;
  /// Undefined unless given; a number where one is given is a tensor without axes.
  at::Tensor tensor(const std::string& name) const;

 private:
  template <typename T>
  T find(const std::string& name, const char* expected, T otherwise) const;

  std::map<std::string, Value> values_;
};

}  // namespace tc
