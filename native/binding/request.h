#pragma once

#include <string>
#include <vector>

#include "binding/operation.h"
#include "core/program/point.h"
#include "core/program/program.h"

namespace tc::js {

/// The fields of a request object.
class Fields {
 public:
  /// Throws Error ERR_INVALID_ARGUMENT unless the value is an object.
  explicit Fields(Napi::Value value);

  Napi::Value get(const char* name) const { return object_.Get(name); }
  bool has(const char* name) const;
  /// Of all fields.
  std::vector<std::string> names() const;
  double number(const char* name) const { return get(name).ToNumber().DoubleValue(); }
  int64_t integer(const char* name) const { return get(name).ToNumber().Int64Value(); }
  bool flag(const char* name) const { return get(name).ToBoolean(); }
  std::string text(const char* name) const { return get(name).ToString().Utf8Value(); }
  /// A bigint as an unsigned number.
  uint64_t seed(const char* name) const;

 private:
  Napi::Object object_;
};

/// What every operation at a point has in common.
struct Request {
  Point point;
  Fields fields;
  c10::Device device;
  int64_t chunkSize;
  /// The rows are some of a larger batch, whose products add up: they have to be independent.
  bool cut;
  Prepared prepared;
};

/// An input as the program was exported for it: truth values of bytes, whole numbers in its kind.
at::Tensor asInput(const ProgramSpec::Port& port, at::Tensor given);

/// Takes `program`, `params`, `inputs`, `cut`, `device`, `chunkSize`, `threads` and `out` of the
/// first argument.
Request takeRequest(const Napi::CallbackInfo& info, Memory memory);

/// The operation with libtorch's complaint as Error ERR_SHAPE_MISMATCH or ERR_DTYPE_MISMATCH where
/// the model does not even run on the inputs of `point`: libtorch has no error of its own for
/// those.
Prepared explained(const Point& point, Prepared prepared);
Prepared explained(Request request);

/// The flat vector in `field`, of the length and precision of the parameters.
at::Tensor vectorOf(const Request& request, const char* field, Memory memory);

}  // namespace tc::js
