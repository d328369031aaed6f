#include "binding/convert.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstring>
#include <optional>

#include "binding/handles.h"
#include "core/runtime/error.h"
#include "core/runtime/lazy.h"
#include "core/runtime/memory.h"
#include "core/runtime/threads.h"

namespace tc::js {
namespace {

/// Bytes from which the threads of libtorch share a copy: JavaScript's thread is held up meanwhile.
constexpr size_t kSharedCopy = 16 << 20;

void copyBytes(void* to, const void* from, size_t bytes) {
  if (bytes < kSharedCopy) {
    if (bytes > 0) std::memcpy(to, from, bytes);
    return;
  }
  const auto count = static_cast<int64_t>(bytes);
  at::from_blob(to, {count}, at::kByte)
      .copy_(at::from_blob(const_cast<void*>(from), {count}, at::kByte));
  releaseThreads();
}

std::optional<at::ScalarType> scalarType(napi_typedarray_type type) {
  switch (type) {
    case napi_float32_array:
      return at::kFloat;
    case napi_float64_array:
      return at::kDouble;
    case napi_int32_array:
      return at::kInt;
    case napi_bigint64_array:
      return at::kLong;
    case napi_uint8_array:
      return at::kByte;
    default:
      return std::nullopt;
  }
}

napi_typedarray_type arrayType(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return napi_float32_array;
    case at::kDouble:
      return napi_float64_array;
    case at::kInt:
      return napi_int32_array;
    case at::kLong:
      return napi_bigint64_array;
    case at::kByte:
      return napi_uint8_array;
    default:
      throw Error("ERR_DTYPE_MISMATCH",
                  std::string("a result of type ") + at::toString(type) + " has no typed array");
  }
}

struct View {
  napi_typedarray_type type{};
  size_t length = 0;
  void* data = nullptr;
};

std::optional<View> viewOf(Napi::Value value) {
  bool isTypedArray = false;
  View view;
  if (value.IsEmpty() || napi_is_typedarray(value.Env(), value, &isTypedArray) != napi_ok ||
      !isTypedArray) {
    return std::nullopt;
  }
  if (napi_get_typedarray_info(value.Env(), value, &view.type, &view.length, &view.data, nullptr,
                               nullptr) != napi_ok) {
    return std::nullopt;
  }
  return view;
}

}  // namespace

at::Tensor toTensor(Napi::Value array, at::IntArrayRef shape, Memory memory, const char* name) {
  const auto view = viewOf(array);
  const auto type = view ? scalarType(view->type) : std::nullopt;
  if (!type)
    throw Error("ERR_DTYPE_MISMATCH",
                std::string(name) + " is no typed array of a kind that tensors have");
  int64_t count = 1;
  bool impossible = false;
  for (const int64_t size : shape)
    impossible = impossible || size < 0 || __builtin_mul_overflow(count, size, &count);
  if (impossible || count != static_cast<int64_t>(view->length)) {
    throw Error("ERR_SHAPE_MISMATCH", std::string(name) + " has " + std::to_string(view->length) +
                                          " elements, which does not fit its shape");
  }
  at::Tensor tensor = at::from_blob(view->data, shape, *type);
  if (memory == Memory::kBorrow) return tensor;
  const at::Tensor copy = at::empty(shape, *type);
  copyBytes(copy.mutable_data_ptr(), view->data, copy.nbytes());
  return copy;
}

at::Tensor toFlat(Napi::Value array, Memory memory, const char* name) {
  const auto view = viewOf(array);
  return toTensor(array, {view ? static_cast<int64_t>(view->length) : 0}, memory, name);
}

at::Tensor toTensor(Napi::Value record, Memory memory, const char* name) {
  if (!record.IsObject())
    throw Error("ERR_INVALID_ARGUMENT", std::string(name) + " should be { data, shape }");
  const auto object = record.As<Napi::Object>();
  if (const Napi::Value held = object.Get("held"); held.IsExternal()) return tensorOf(held);
  return toTensor(object.Get("data"), toShape(object.Get("shape"), name), memory, name);
}

std::vector<int64_t> toShape(Napi::Value value, const char* name) {
  if (!value.IsArray()) throw Error("ERR_INVALID_ARGUMENT", std::string(name) + " has no shape");
  const auto list = value.As<Napi::Array>();
  std::vector<int64_t> shape(list.Length());  // read once: a getter may change the list meanwhile
  for (uint32_t i = 0; i < shape.size(); ++i) {
    const Napi::Value size = list[i];
    if (!size.IsNumber())
      throw Error("ERR_INVALID_ARGUMENT",
                  std::string(name) + " has a shape that is no list of numbers");
    shape[i] = size.As<Napi::Number>().Int64Value();
  }
  return shape;
}

Napi::Value toTypedArray(Napi::Env env, const at::Tensor& tensor, Napi::Value out) {
  const at::Tensor plain = readable(tensor.to(at::kCPU));
  const auto type = arrayType(plain.scalar_type());
  if (const auto view = viewOf(out)) {
    if (view->type != type || view->length != static_cast<size_t>(plain.numel())) {
      throw Error("ERR_DETACHED_BUFFER",
                  "out no longer has the kind and length that it had; was its buffer transferred?");
    }
    preferLargePages(view->data, plain.nbytes());
    copyBytes(view->data, plain.const_data_ptr(), plain.nbytes());
    return out;
  }
  auto buffer = Napi::ArrayBuffer::New(env, plain.nbytes());
  preferLargePages(buffer.Data(), plain.nbytes());
  copyBytes(buffer.Data(), plain.const_data_ptr(), plain.nbytes());
  napi_value array = nullptr;
  if (napi_create_typedarray(env, type, static_cast<size_t>(plain.numel()), buffer, 0, &array) !=
      napi_ok) {
    throw Napi::Error::New(env);
  }
  return {env, array};
}

Napi::Value toRecord(Napi::Env env, const at::Tensor& tensor) {
  const auto record = Napi::Object::New(env);
  const auto shape = Napi::Array::New(env, static_cast<size_t>(tensor.dim()));
  for (int64_t i = 0; i < tensor.dim(); ++i) {
    shape.Set(static_cast<uint32_t>(i),
              Napi::Number::New(env, static_cast<double>(tensor.size(i))));
  }
  record.Set("data", toTypedArray(env, tensor));
  record.Set("shape", shape);
  return record;
}

}  // namespace tc::js
