#include <optional>
#include <utility>

#include "binding/arguments.h"
#include "binding/data_share.h"
#include "binding/handles.h"
#include "binding/operation.h"
#include "binding/problem.h"
#include "core/linearization/rows.h"
#include "core/operators/centered_parts.h"
#include "core/operators/combine.h"
#include "core/operators/fisher.h"
#include "core/operators/l2.h"
#include "core/operators/loss_gradient.h"
#include "core/operators/matrix.h"
#include "core/operators/per_sample.h"
#include "core/operators/request.h"
#include "core/runtime/device.h"
#include "core/runtime/error.h"
#include "core/runtime/transfer.h"

namespace tc::js {
namespace {

std::vector<at::Tensor> toTensors(Napi::Value value, const char* name) {
  if (!value.IsArray())
    throw Error("ERR_INVALID_ARGUMENT", std::string(name) + " should be a list");
  const auto list = value.As<Napi::Array>();
  std::vector<at::Tensor> tensors;
  // The length is what the caller says: memory for it is taken as elements turn out to be there.
  for (uint32_t i = 0; i < list.Length(); ++i) {
    // NOLINTNEXTLINE(performance-inefficient-vector-operation)
    tensors.push_back(toTensor(Napi::Value(list[i]), Memory::kCopy, name));
  }
  return tensors;
}

Prepared create(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  OperatorRequest wanted;
  Prepared prepared;
  c10::Device device = c10::kCPU;
  bool cut = false;
  if (fields.has("linearization")) {
    wanted.shared = linearizationOf(fields.get("linearization"));
    wanted.options.chunkSize = fields.integer("chunkSize");
    prepared.threads = static_cast<int>(fields.integer("threads"));
  } else {
    Request request = takeRequest(info, Memory::kCopy);  // what it keeps outlives the call
    wanted.point = std::move(request.point);
    wanted.options = chunkOptions(fields);
    device = request.device;
    cut = request.cut;
    prepared = std::move(request.prepared);
  }
  wanted.problem = problemOf(fields);
  if (fields.has("x2")) wanted.others = toTensors(fields.get("x2"), "x2");
  wanted.arguments = scalarsOf(fields);
  if (fields.has("basis")) wanted.arguments.set("basis", operatorOf(fields.get("basis")));
  const bool shared = wanted.shared != nullptr;
  const Point point = wanted.point;
  Point second = shared ? wanted.shared->point() : point;
  for (size_t i = 0; i < wanted.others.size() && i < second.inputs.size(); ++i)
    wanted.others[i] = asInput(second.program->inputs()[i], std::move(wanted.others[i]));
  if (!wanted.others.empty()) second.inputs = wanted.others;
  prepared.compute = [kind = fields.text("kind"), wanted = std::move(wanted), device,
                      cut](const StopToken& stop) {
    OperatorRequest here = wanted;
    here.point = here.shared ? here.shared->point() : placed(here.point, device);
    if (cut) requireIndependentRows(here.point, stop);
    return Result::of(makeOperator(kind, here, stop));
  };
  prepared.deliver = [shared](Napi::Env env, const Result& result, Napi::Value) {
    const auto& op = result.as<OperatorPtr>();
    return wrapShare<OperatorHandle>(env, op, shared ? 0 : op->bytes());
  };
  if (!shared) prepared = explained(point, std::move(prepared));
  return explained(second, std::move(prepared));
}

/// What a problem's mean divides by, and how many data it has; with a `kind`, whether the loss has
/// such an operator.
Prepared count(const Napi::CallbackInfo& info, Memory memory) {
  struct Counts {
    double divisor;
    double weight;
  };
  Request request = takeRequest(info, memory);
  std::optional<LossMatrix> matrix;
  if (request.fields.has("kind")) matrix = operatorKinds().at(request.fields.text("kind")).matrix;
  request.prepared.compute = [point = request.point, device = request.device, matrix,
                              problem = problemOf(request.fields)](const StopToken&) {
    const Point here = placed(point, device);
    const at::Tensor y = outputLike(here);
    const Objective objective = problem.objective(y);
    if (matrix) requireMatrix(*objective.loss, *matrix);
    return Result::of(
        Counts{objective.divisor, dataWeight(y, objective, problem.rowWeights(here), problem.per)});
  };
  request.prepared.deliver = [](Napi::Env env, const Result& result, Napi::Value) {
    const auto& counts = result.as<Counts>();
    auto record = Napi::Object::New(env);
    record.Set("divisor", counts.divisor);
    record.Set("weight", counts.weight);
    return record;
  };
  return explained(std::move(request));
}

Prepared gradient(const Napi::CallbackInfo& info, Memory memory) {
  Request request = takeRequest(info, memory);
  request.prepared.compute = [point = request.point, device = request.device, cut = request.cut,
                              options = chunkOptions(request.fields),
                              problem = problemOf(request.fields)](const StopToken& stop) {
    const Point here = placed(point, device);
    if (cut) requireIndependentRows(here, stop);
    const Objective objective = problem.objective(here);
    LossGradient result = lossGradient(here, options, objective, problem.rowWeights(here), stop);
    if (problem.l2.defined()) addL2(result, here.params, problem.l2);
    return Result::of(
        std::pair{LossGradient{result.loss.cpu(), toHost(result.gradient)}, objective.divisor});
  };
  request.prepared.deliver = [](Napi::Env env, const Result& result, Napi::Value out) {
    const auto& [value, divisor] = result.as<std::pair<LossGradient, double>>();
    auto record = Napi::Object::New(env);
    record.Set("divisor", divisor);
    record.Set("loss", value.loss.item<double>());
    record.Set("gradient", toTypedArray(env, value.gradient, out));
    return record;
  };
  return explained(std::move(request));
}

/// What each row adds to the loss.
Prepared rowLosses(const Napi::CallbackInfo& info, Memory memory) {
  Request request = takeRequest(info, memory);
  request.prepared.compute = [point = request.point, device = request.device,
                              chunkSize = request.chunkSize,
                              problem = problemOf(request.fields)](const StopToken& stop) {
    const Point here = placed(point, device);
    const Objective objective = problem.objective(here);
    return Result(
        toHost(perSampleLosses(here, chunkSize, objective, problem.rowWeights(here), stop)));
  };
  request.prepared.deliver = toTypedArray;
  return explained(std::move(request));
}

Prepared apply(const Napi::CallbackInfo& info, Memory memory) {
  const Fields fields(info[0]);
  const OperatorPtr op = operatorOf(fields.get("operator"));
  const bool transposed = fields.flag("transposed");
  at::Tensor vectors = toFlat(fields.get("v"), memory, "v");
  if (fields.has("count")) {
    const int64_t count = fields.integer("count");
    const int64_t length = transposed ? op->rows() : op->cols();
    if (count < 0 || vectors.numel() != count * length) {
      throw Error("ERR_SHAPE_MISMATCH", std::to_string(count) + " vectors should have " +
                                            std::to_string(length) + " elements each, got " +
                                            std::to_string(vectors.numel()) + " in all");
    }
    vectors = vectors.view({count, length});
  }
  Prepared prepared;
  prepared.threads = static_cast<int>(fields.integer("threads"));
  if (const Napi::Value out = fields.get("out"); out.IsTypedArray()) prepared.out = out;
  prepared.compute = [op, transposed, vectors](const StopToken& stop) -> Result {
    const at::Tensor here = toDevice(vectors, op->options().device());
    if (here.dim() == 2)
      return toHost(transposed ? op->rmatmat(here, stop) : op->matmat(here, stop));
    return toHost(transposed ? op->rmatvec(here, stop) : op->matvec(here, stop));
  };
  prepared.deliver = toTypedArray;
  return prepared;
}

using Whole = at::Tensor (LinearOperator::*)(const StopToken&) const;

auto whole(Whole method) {
  return [method](const Napi::CallbackInfo& info, Memory) {
    const Fields fields(info[0]);
    Prepared prepared;
    prepared.threads = static_cast<int>(fields.integer("threads"));
    prepared.compute = [op = operatorOf(fields.get("operator")), method](const StopToken& stop) {
      return toHost(((*op).*method)(stop));
    };
    prepared.deliver = toTypedArray;
    return prepared;
  };
}

Prepared denseRows(const Napi::CallbackInfo& info, Memory) {
  const Fields fields(info[0]);
  Prepared prepared;
  prepared.threads = static_cast<int>(fields.integer("threads"));
  prepared.compute = [op = operatorOf(fields.get("operator")), begin = fields.integer("begin"),
                      end = fields.integer("end")](const StopToken& stop) {
    return Result(toHost(op->toDenseRows(begin, end, stop)));
  };
  prepared.deliver = toTypedArray;
  return prepared;
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  const OperatorPtr& op = operatorOf(info[0]);
  auto result = Napi::Object::New(info.Env());
  result.Set("rows", static_cast<double>(op->rows()));
  result.Set("cols", static_cast<double>(op->cols()));
  result.Set("float64", op->options().dtype() == at::kDouble);
  result.Set("device", op->options().device().str());
  result.Set("symmetric", op->symmetric());
  result.Set("bytes", static_cast<double>(op->bytes()));
  if (op->engine() != nullptr) result.Set("engine", op->engine());
  const auto shape = op->outputShape();
  auto sizes = Napi::Array::New(info.Env(), shape.size());
  for (uint32_t i = 0; i < shape.size(); ++i) sizes.Set(i, static_cast<double>(shape[i]));
  result.Set("outputShape", sizes);
  return result;
}

IndexRanges toRanges(Napi::Value value) {
  if (!value.IsArray()) throw Error("ERR_INVALID_ARGUMENT", "ranges should be a list");
  const auto list = value.As<Napi::Array>();
  IndexRanges ranges;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const auto range = toShape(list[i], "a range");
    if (range.size() != 2) throw Error("ERR_INVALID_ARGUMENT", "a range should be [begin, end]");
    ranges.emplace_back(range[0], range[1]);
  }
  return ranges;
}

Napi::Value wrapOperator(const Napi::CallbackInfo& info, const OperatorPtr& op, int64_t bytes = 0) {
  return wrapShare<OperatorHandle>(info.Env(), op, bytes);
}

at::Tensor floating(const at::Tensor& tensor, const char* name) {
  if (!tensor.is_floating_point())
    throw Error("ERR_DTYPE_MISMATCH",
                std::string(name) + " should be a Float32Array or a Float64Array");
  return tensor;
}

void addCombinations(Napi::Env env, Napi::Object exports) {
  add(env, exports, "operatorSum", [](const Napi::CallbackInfo& info) {
    if (!info[0].IsArray()) throw Error("ERR_INVALID_ARGUMENT", "operators should be a list");
    const auto list = info[0].As<Napi::Array>();
    std::vector<OperatorPtr> terms;
    for (uint32_t i = 0; i < list.Length(); ++i) {
      // NOLINTNEXTLINE(performance-inefficient-vector-operation): as for tensors
      terms.push_back(operatorOf(list[i]));
    }
    return wrapOperator(info, sum(std::move(terms)));
  });
  add(env, exports, "operatorScale", [](const Napi::CallbackInfo& info) {
    return wrapOperator(info, scaled(operatorOf(info[0]), info[1].ToNumber().DoubleValue()));
  });
  add(env, exports, "operatorShift", [](const Napi::CallbackInfo& info) {
    return wrapOperator(info, shifted(operatorOf(info[0]), info[1].ToNumber().DoubleValue()));
  });
  add(env, exports, "operatorTranspose", [](const Napi::CallbackInfo& info) {
    return wrapOperator(info, transposed(operatorOf(info[0])));
  });
  add(env, exports, "operatorProduct", [](const Napi::CallbackInfo& info) {
    return wrapOperator(info, product(operatorOf(info[0]), operatorOf(info[1])));
  });
  add(env, exports, "operatorSubmatrix", [](const Napi::CallbackInfo& info) {
    return wrapOperator(info, submatrix(operatorOf(info[0]), toRanges(info[1]), toRanges(info[2])));
  });
  add(env, exports, "operatorRegularized", [](const Napi::CallbackInfo& info) {
    const OperatorPtr& a = operatorOf(info[0]);
    return wrapOperator(info, regularized(a, toFlat(info[1], Memory::kCopy, "l2")));
  });
  add(env, exports, "operatorCentered", [](const Napi::CallbackInfo& info) {
    const Fields fields(info[0]);
    const OperatorPtr op = centered(
        {operatorOf(fields.get("sums")), operatorOf(fields.get("around")), fields.number("weight")},
        fields.number("scale"), fields.flag("antisymmetric"));
    op->setShare(dataShareOf(fields));
    return wrapOperator(info, op);
  });
  add(env, exports, "denseOperator", [](const Napi::CallbackInfo& info) {
    const at::Tensor matrix = floating(toTensor(info[0], Memory::kCopy, "matrix"), "matrix");
    if (matrix.dim() != 2) throw Error("ERR_SHAPE_MISMATCH", "a matrix should have two axes");
    const auto device = findDevice(info[2].ToString().Utf8Value());
    const OperatorPtr op = denseOperator(toDevice(matrix, device), info[1].ToBoolean());
    return wrapOperator(info, op, op->bytes());
  });
  add(env, exports, "diagonalOperator", [](const Napi::CallbackInfo& info) {
    const at::Tensor diagonal = floating(toFlat(info[0], Memory::kCopy, "diagonal"), "diagonal");
    const auto device = findDevice(info[1].ToString().Utf8Value());
    const OperatorPtr op = diagonalOperator(toDevice(diagonal, device));
    return wrapOperator(info, op, op->bytes());
  });
}

}  // namespace

void addOperators(Napi::Env env, Napi::Object exports) {
  addOperation(env, exports, "createOperator", create);
  addOperation(env, exports, "lossCounts", count);
  addOperation(env, exports, "lossGradient", gradient);
  addOperation(env, exports, "rowLosses", rowLosses);
  addOperation(env, exports, "operatorApply", apply);
  addOperation(env, exports, "operatorDenseRows", denseRows);
  addOperation(env, exports, "operatorDense", whole(&LinearOperator::toDense));
  addOperation(env, exports, "operatorDiagonal", whole(&LinearOperator::diagonal));
  addCombinations(env, exports);
  add(env, exports, "operatorInfo", describe);
  add(env, exports, "operatorDispose", [](const Napi::CallbackInfo& info) {
    unwrap<OperatorHandle>(info[0], "operator")->share.release();
    return info.Env().Undefined();
  });
}

}  // namespace tc::js
