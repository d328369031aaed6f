#include <atomic>
#include <chrono>
#include <condition_variable>
#include <initializer_list>
#include <mutex>
#include <thread>

#include "binding/data_share.h"
#include "binding/handles.h"
#include "binding/operation.h"
#include "binding/request.h"
#include "core/operators/callback.h"
#include "core/profiler/stage.h"
#include "core/runtime/device.h"
#include "core/runtime/error.h"
#include "core/runtime/executor.h"
#include "core/runtime/transfer.h"

namespace tc::js {
namespace {

/// A product on its way: a thread of the executor waits, JavaScript settles.
class Pending {
 public:
  void resolve(at::Tensor result) {
    settle([&] { result_ = std::move(result); });
  }
  void reject(std::exception_ptr error) {
    settle([&] { error_ = std::move(error); });
  }

  /// Looks at the stop token now and then: JavaScript may never settle.
  at::Tensor wait(const StopToken& stop) {
    const Executor::Waiting cores;  // JavaScript may need them for the product
    const profiling::Stage stage(profiling::kJavaScript);
    stage.waits();
    std::unique_lock lock(mutex_);
    while (!settled_.wait_for(lock, std::chrono::milliseconds(20), [&] { return done_; }))
      stop.poll();
    if (error_) std::rethrow_exception(error_);
    return result_;
  }

 private:
  template <typename Body>
  void settle(Body&& body) {
    const std::lock_guard lock(mutex_);
    if (done_) return;
    body();
    done_ = true;
    settled_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable settled_;
  bool done_ = false;
  at::Tensor result_;
  std::exception_ptr error_;
};

/// A function of JavaScript's, which lives and dies on its thread, or with the environment.
class JsFunction {
 public:
  JsFunction(const Napi::Function& function, const JsThread& thread) {
    const auto home = std::this_thread::get_id();
    reference_ = std::shared_ptr<Napi::FunctionReference>(
        new Napi::FunctionReference(Napi::Persistent(function)),
        [thread, home](Napi::FunctionReference* reference) {
          if (std::this_thread::get_id() == home) {
            delete reference;
          } else {
            thread.post([reference](Napi::Env) { delete reference; });
          }
        });
  }

  Napi::Value call(std::initializer_list<napi_value> arguments) const {
    return reference_->Value().Call(arguments);
  }

 private:
  std::shared_ptr<Napi::FunctionReference> reference_;
};

/// JavaScript's `product(vectors, count, transposed, id) => FloatArray | Promise<FloatArray>`, and
/// `stop(id)`, which is called where the product with that number is no longer waited for.
class JsProduct {
 public:
  JsProduct(const Napi::Function& product, const Napi::Function& stop)
      : thread_(product.Env()),
        home_(std::this_thread::get_id()),
        product_(product, thread_),
        stop_(stop, thread_) {}

  at::Tensor operator()(const at::Tensor& vectors, bool transposed, const StopToken& stop) const {
    if (std::this_thread::get_id() == home_) {
      throw Error("ERR_INVALID_ARGUMENT",
                  "an operator that JavaScript computes works in asynchronous calls only");
    }
    static std::atomic<uint32_t> next{0};
    const uint32_t id = next++;
    const auto pending = std::make_shared<Pending>();
    const bool posted = thread_.post(
        [pending, product = product_, transposed, id, vectors = toHost(vectors)](Napi::Env env) {
          try {
            const Napi::Value value =
                product.call({toTypedArray(env, vectors),
                              Napi::Number::New(env, static_cast<double>(vectors.size(0))),
                              Napi::Boolean::New(env, transposed), Napi::Number::New(env, id)});
            settleWith(env, value, pending);
          } catch (...) {
            pending->reject(std::current_exception());
          }
        });
    if (!posted) throw Error("ABORTED", "the environment ends");
    try {
      return pending->wait(stop);
    } catch (...) {
      if (stop.requested())
        thread_.post(
            [stopping = stop_, id](Napi::Env env) { stopping.call({Napi::Number::New(env, id)}); });
      throw;
    }
  }

 private:
  static void settleWith(Napi::Env env, const Napi::Value& value,
                         const std::shared_ptr<Pending>& pending) {
    if (!value.IsPromise()) {
      pending->resolve(toFlat(value, Memory::kCopy, "the product"));
      return;
    }
    const auto resolve = Napi::Function::New(env, [pending](const Napi::CallbackInfo& info) {
      try {
        pending->resolve(toFlat(info[0], Memory::kCopy, "the product"));
      } catch (...) {
        pending->reject(std::current_exception());
      }
    });
    const auto reject = Napi::Function::New(env, [pending](const Napi::CallbackInfo& info) {
      pending->reject(std::make_exception_ptr(Napi::Error(info.Env(), info[0])));
    });
    value.As<Napi::Object>().Get("then").As<Napi::Function>().Call(value, {resolve, reject});
  }

  JsThread thread_;
  std::thread::id home_;
  JsFunction product_;
  JsFunction stop_;
};

Napi::Value create(const Napi::CallbackInfo& info) {
  const Fields fields(info[0]);
  if (!fields.get("product").IsFunction() || !fields.get("stop").IsFunction())
    throw Error("ERR_INVALID_ARGUMENT", "product and stop should be functions");
  const auto options = at::TensorOptions(fields.flag("float64") ? at::kDouble : at::kFloat)
                           .device(findDevice(fields.text("device")));
  const OperatorPtr op = callbackOperator(fields.integer("rows"), fields.integer("cols"), options,
                                          fields.flag("symmetric"),
                                          JsProduct(fields.get("product").As<Napi::Function>(),
                                                    fields.get("stop").As<Napi::Function>()),
                                          fields.flag("additive"));
  op->setShare(dataShareOf(fields));
  return wrapShare<OperatorHandle>(info.Env(), op, 0);
}

}  // namespace

void addCallbackOperator(Napi::Env env, Napi::Object exports) {
  add(env, exports, "callbackOperator", create);
}

}  // namespace tc::js
