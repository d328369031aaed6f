#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "binding/js.h"
#include "core/program/point.h"
#include "core/runtime/error.h"

namespace tc::js {

/// Whether a tensor made from a typed array reads the array's memory or a copy. Only work that ends
/// before JavaScript runs again may borrow: a buffer can be changed, transferred or freed at any
/// later moment.
enum class Memory { kBorrow, kCopy };

/// The tensor of a typed array with this shape. Throws Error when the kind is unknown or the length
/// does not fit.
at::Tensor toTensor(Napi::Value array, at::IntArrayRef shape, Memory memory, const char* name);
/// The flat tensor of a typed array.
at::Tensor toFlat(Napi::Value array, Memory memory, const char* name);
/// The tensor of a `{ data, shape }` record, or of a `{ held, shape }` one, which is nobody's to
/// change.
at::Tensor toTensor(Napi::Value record, Memory memory, const char* name);

std::vector<int64_t> toShape(Napi::Value value, const char* name);

/// A typed array (Float32Array, Float64Array, Int32Array, BigInt64Array or Uint8Array) with a copy
/// of the tensor's elements. When `out` is a typed array of the same kind and length, it receives
/// them and is returned.
Napi::Value toTypedArray(Napi::Env env, const at::Tensor& tensor, Napi::Value out = {});
/// `{ data, shape }`
Napi::Value toRecord(Napi::Env env, const at::Tensor& tensor);

/// An External that shares ownership of a C++ object, recognized by a tag of its type.
template <typename T>
Napi::Value wrap(Napi::Env env, std::shared_ptr<T> object) {
  auto external = Napi::External<std::shared_ptr<T>>::New(
      env, new std::shared_ptr<T>(std::move(object)),
      [](Napi::Env, std::shared_ptr<T>* held) { delete held; });
  external.TypeTag(&T::kTypeTag);
  return external;
}

template <typename T>
const std::shared_ptr<T>& unwrap(Napi::Value value, const char* name) {
  if (value.IsExternal()) {
    const auto external = value.As<Napi::External<std::shared_ptr<T>>>();
    if (external.CheckTypeTag(&T::kTypeTag)) return *external.Data();
  }
  throw Error("ERR_INVALID_ARGUMENT", std::string(name) + " is not the handle that was expected");
}

}  // namespace tc::js
