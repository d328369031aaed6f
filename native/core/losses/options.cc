#include "core/losses/options.h"

#include <ATen/ops/scalar_tensor.h>

#include "core/runtime/error.h"

namespace tc {

LossOptions LossOptions::on(c10::Device device) const {
  LossOptions moved = *this;
  for (auto& [name, value] : moved.values_) {
    if (auto* tensor = std::get_if<at::Tensor>(&value)) *tensor = tensor->to(device);
  }
  return moved;
}

template <typename T>
T LossOptions::find(const std::string& name, const char* expected, T otherwise) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return otherwise;
  if (const T* value = std::get_if<T>(&found->second)) return *value;
  throw Error("ERR_INVALID_ARGUMENT", "the loss's option " + name + " should be " + expected);
}

bool LossOptions::flag(const std::string& name, bool otherwise) const {
  return find(name, "true or false", otherwise);
}

double LossOptions::number(const std::string& name, double otherwise) const {
  return find(name, "a number", otherwise);
}

int64_t LossOptions::integer(const std::string& name, int64_t otherwise) const {
  return static_cast<int64_t>(number(name, static_cast<double>(otherwise)));
}

at::Tensor LossOptions::tensor(const std::string& name) const {
  const auto found = values_.find(name);
  if (found != values_.end()) {
    if (const auto* value = std::get_if<double>(&found->second))
      return at::scalar_tensor(*value, at::kDouble);
  }
  return find(name, "a tensor", at::Tensor());
}

}  // namespace tc
