#include <string>
#include <utility>

#include "binding/handles.h"
#include "binding/operation.h"
#include "binding/request.h"
#include "core/operators/kfac/kfac.h"
#include "core/runtime/error.h"

// What operators made of Kronecker factors can do beside what all of them can.

namespace tc::js {
namespace {

KroneckerPtr kroneckerOf(Napi::Value handle) {
  auto op = std::dynamic_pointer_cast<const KroneckerOperator>(operatorOf(handle));
  if (!op) throw Error("ERR_INVALID_ARGUMENT", "the operator has no Kronecker factors");
  return op;
}

/// An operation on one of them, which computes a value that `deliver` takes.
template <typename Compute>
Prepared prepared(const Fields& fields, Compute compute) {
  Prepared made;
  made.threads = static_cast<int>(fields.integer("threads"));
  made.compute = [op = kroneckerOf(fields.get("operator")), compute = std::move(compute)](
                     const StopToken& stop) { return Result::of(compute(*op, stop)); };
  return made;
}

Napi::Value wrapped(Napi::Env env, const OperatorPtr& op) {
  return wrapShare<OperatorHandle>(env, op, op->bytes());
}

template <typename Compute>
Prepared makesOperator(const Fields& fields, Compute compute) {
  Prepared made = prepared(fields, std::move(compute));
  made.deliver = [](Napi::Env env, const Result& result, Napi::Value) {
    return wrapped(env, result.as<KroneckerPtr>());
  };
  return made;
}

template <typename Compute>
Prepared makesNumber(const Fields& fields, Compute compute) {
  Prepared made = prepared(fields, std::move(compute));
  made.deliver = [](Napi::Env env, const Result& result, Napi::Value) -> Napi::Value {
    return Napi::Number::New(env, result.as<double>());
  };
  return made;
}

Prepared inverse(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  return makesOperator(
      fields, [damping = fields.number("damping"), method = findDamping(fields.text("method"))](
                  const KroneckerOperator& op, const StopToken& stop) {
        return op.inverse(damping, method, stop);
      });
}

Prepared logdet(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  return makesNumber(fields, [damping = fields.number("damping")](const KroneckerOperator& op,
                                                                  const StopToken& stop) {
    return op.logdet(damping, stop);
  });
}

Prepared number(const Napi::CallbackInfo& info,
                double (KroneckerOperator::*which)(const StopToken&) const) {
  const Fields fields(info[0]);
  return makesNumber(fields, [which](const KroneckerOperator& op, const StopToken& stop) {
    return (op.*which)(stop);
  });
}

Prepared eigh(const Napi::CallbackInfo& info, Memory) {
  Prepared made = prepared(Fields(info[0]), [](const KroneckerOperator& op, const StopToken& stop) {
    KroneckerOperator::Eigh found = op.eigh(stop);
    return KroneckerOperator::Eigh{found.eigenvalues.cpu(), std::move(found.eigenvectors)};
  });
  made.deliver = [](Napi::Env env, const Result& result, Napi::Value) -> Napi::Value {
    const auto& found = result.as<KroneckerOperator::Eigh>();
    auto record = Napi::Object::New(env);
    record.Set("eigenvalues", toTypedArray(env, found.eigenvalues));
    record.Set("eigenvectors", wrapped(env, found.eigenvectors));
    return record;
  };
  return made;
}

Prepared join(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  return makesOperator(
      fields, [other = kroneckerOf(fields.get("other"))](
                  const KroneckerOperator& op, const StopToken&) { return op.joined(*other); });
}

/// Of the rows of all ranks of a group.
Prepared together(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  return makesOperator(fields, [group = groupOf(fields.get("group"))](const KroneckerOperator& op,
                                                                      const StopToken& stop) {
    return op.joinedBy(
        [&](const at::Tensor& values, const std::string& subject, const at::Tensor& same) {
          return group->sum({values, subject, same}, stop).values;
        });
  });
}

Prepared basis(const Napi::CallbackInfo& info, Memory) {
  return makesOperator(Fields(info[0]), withoutLayers);
}

}  // namespace

void addKronecker(Napi::Env env, Napi::Object exports) {
  addOperation(env, exports, "kroneckerInverse", inverse);
  addOperation(env, exports, "kroneckerLogdet", logdet);
  addOperation(env, exports, "kroneckerTrace", [](const Napi::CallbackInfo& info, Memory) {
    return number(info, &KroneckerOperator::trace);
  });
  addOperation(env, exports, "kroneckerFrobeniusNorm", [](const Napi::CallbackInfo& info, Memory) {
    return number(info, &KroneckerOperator::frobeniusNorm);
  });
  addOperation(env, exports, "kroneckerEigh", eigh);
  addOperation(env, exports, "kroneckerJoin", join);
  addOperation(env, exports, "kroneckerTogether", together);
  addOperation(env, exports, "kroneckerBasis", basis);
}

}  // namespace tc::js
