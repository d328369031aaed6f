#include "binding/operation.h"

#include <ATen/ThreadLocalState.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "core/profiler/meter.h"
#include "core/profiler/operator_flops.h"
#include "core/profiler/stage.h"
#include "core/profiler/thread_name.h"
#include "core/runtime/error.h"
#include "core/runtime/executor.h"
#include "core/runtime/threads.h"

namespace tc::js {

/// What an operation did, for a caller that has given a record to be told in, `meter`, beside its
/// request.
class Metering {
 public:
  explicit Metering(const Napi::CallbackInfo& info) {
    if (!info[0].IsObject()) return;
    const Napi::Value given = info[0].As<Napi::Object>().Get("meter");
    if (!given.IsObject()) return;
    meter_ = std::make_unique<profiling::Meter>();
    record_ = Napi::Persistent(given.As<Napi::Object>());
  }

  template <typename Compute>
  auto run(Compute&& compute) {
    const profiling::Meter::Scope scope(meter_.get());
    const profiling::OperatorFlops counted;
    started_ = Clock::now();
    const Ending ending(*this);
    return compute();
  }

  /// For what ends without having run.
  void skip() { started_ = ended_ = Clock::now(); }

  /// On JavaScript's thread: fills the record.
  void tell(Napi::Env env) const {
    if (!meter_) return;
    Napi::Object record = tellTimes(env, ended_);
    const char* const engine = meter_->engine();
    if (engine != nullptr) record.Set("engine", engine);
    const auto flops = meter_->flops();
    if (flops && (engine != nullptr || *flops > 0))
      record.Set("flops", Napi::Number::New(env, static_cast<double>(*flops)));
  }
  /// The same of what still runs: its times until now.
  void tellRunning(Napi::Env env) const {
    if (meter_) tellTimes(env, Clock::now());
  }

 private:
  using Clock = std::chrono::steady_clock;

  Napi::Object tellTimes(Napi::Env env, Clock::time_point until) const {
    Napi::Object record = record_.Value();
    const auto milliseconds = [&](const char* name, Clock::time_point from, Clock::time_point to) {
      const std::chrono::duration<double, std::milli> time = to - from;
      record.Set(name, Napi::Number::New(env, time.count()));
    };
    milliseconds("queueTime", asked_, started_);
    milliseconds("runTime", started_, until);
    return record;
  }

  /// Also of an operation that fails.
  struct Ending {
    Metering& metering;
    explicit Ending(Metering& metering) : metering(metering) {}
    ~Ending() { metering.ended_ = Clock::now(); }
    Ending(const Ending&) = delete;
    Ending& operator=(const Ending&) = delete;
  };

  std::unique_ptr<profiling::Meter> meter_;
  Napi::ObjectReference record_;
  Clock::time_point asked_ = Clock::now();
  Clock::time_point started_ = asked_;
  Clock::time_point ended_ = asked_;
};

struct Job;
using Task = std::function<void(Napi::Env)>;

/// What one environment (the main thread or a worker) has in flight.
struct Environment {
  std::mutex mutex;
  std::condition_variable idle;
  std::set<Job*> jobs;     ///< handed to the executor, and neither done nor withdrawn
  std::set<Job*> done;     ///< whose promises are still to be settled
  size_t undelivered = 0;  ///< promises that JavaScript still waits for; used on its thread only
  bool closing = false;
  bool ending = false;  ///< the process ends; used on JavaScript's thread only
  napi_threadsafe_function tasks = nullptr;

  /// With the mutex held. After the environment began to close, tasks would never run; their
  /// JavaScript references go with the environment.
  void post(Task task) {
    napi_call_threadsafe_function(tasks, new Task(std::move(task)), napi_tsfn_nonblocking);
  }
};

/// An asynchronous operation on its way from JavaScript through an executor thread and back.
struct Job {
  std::shared_ptr<Environment> environment;
  Prepared prepared;
  Metering metering;
  StopToken stop;
  at::ThreadLocalState callerState;  ///< so that the profiler of the calling thread sees the work
  Napi::Promise::Deferred deferred;
  Napi::ObjectReference out;
  Napi::ObjectReference kept;
  Executor::Ticket ticket = 0;
  Result result;
  std::exception_ptr error;
  bool settled = false;  ///< nobody waits for it any more; used on JavaScript's thread only

  Job(std::shared_ptr<Environment> environment, Prepared prepared, const Napi::CallbackInfo& info)
      : environment(std::move(environment)),
        prepared(std::move(prepared)),
        metering(info),
        deferred(info.Env()) {}
};

namespace {

/// Used on JavaScript's thread only, but for the token.
struct StopHandle {
  static constexpr napi_type_tag kTypeTag = {0x6a1f0c44d52e4b10, 0x9d3a7be1f0c25a01};
  StopToken token;
  Executor::Ticket ticket = 0;
  Job* job = nullptr;  ///< there as long as the environment has it in flight, by its ticket
};

void run(Job& job) {
  try {
    job.stop.poll();
    const at::ThreadLocalStateGuard state(job.callerState);
    const ThreadScope threads(job.prepared.threads);
    profiling::nameThisThread("tc-worker");
    job.result = job.metering.run([&] { return job.prepared.compute(job.stop); });
  } catch (...) {
    job.error = std::current_exception();
  }
  job.prepared.compute =
      nullptr;  // frees the copies of the inputs here rather than on JavaScript's thread
}

/// Settles the promise also where looking at the error runs code of the caller's that throws, as a
/// Proxy's may.
void reject(Napi::Env env, Job& job, const Napi::Error& error) {
  try {
    job.deferred.Reject(error.Value());
  } catch (...) {
    job.deferred.Reject(Napi::Error::New(env, "the reason of a failure cannot be read").Value());
  }
}

/// JavaScript waits for one promise less.
void leave(Napi::Env env, Environment& environment) {
  if (--environment.undelivered == 0) napi_unref_threadsafe_function(env, environment.tasks);
}

/// On JavaScript's thread, once the job is done.
void deliver(Napi::Env env, Job* raw) {
  const profiling::Stage stage("torch_curvature::deliver");
  const std::unique_ptr<Job> job(raw);
  Environment& environment = *job->environment;
  {
    const std::lock_guard lock(environment.mutex);
    environment.done.erase(raw);
  }
  if (job->settled) return;
  leave(env, environment);
  try {
    job->metering.tell(env);
    if (job->error) std::rethrow_exception(job->error);
    const Napi::Value out = job->out.IsEmpty() ? Napi::Value() : job->out.Value();
    job->deferred.Resolve(job->prepared.deliver(env, job->result, out));
  } catch (const Napi::Error& error) {
    reject(env, *job, error);
  } catch (...) {
    reject(env, *job, translate(env, std::current_exception()));
  }
}

/// On an executor thread.
void runAndReport(Job* job) {
  run(*job);
  Executor::finish();
  const auto environment = job->environment;
  const std::lock_guard lock(environment->mutex);
  environment->jobs.erase(job);
  environment->done.insert(job);
  if (!environment->closing) environment->post([job](Napi::Env env) { deliver(env, job); });
  environment->idle.notify_all();
}

/// Runs a posted task on JavaScript's thread.
void runTask(napi_env rawEnv, napi_value, void*, void* data) {
  const std::unique_ptr<Task> task(static_cast<Task*>(data));
  if (rawEnv == nullptr) return;  // the environment ended
  const Napi::Env env(rawEnv);
  try {
    const Napi::HandleScope scope(env);
    (*task)(env);
  } catch (...) {  // NOLINT(bugprone-empty-catch): nobody is left to be told
    // Tasks tell JavaScript of their failures themselves. This one could not: JavaScript is being
    // terminated.
  }
}

/// Asks all that was handed to the executor to stop, before anything of it can begin in the place
/// of what is withdrawn. With the environment's mutex held.
std::set<Job*> stopAll(const Environment& environment) {
  for (Job* job : environment.jobs) job->stop.request();
  return environment.jobs;
}

/// Stops what the environment started, waits for it and frees it, on JavaScript's thread, as what
/// it keeps may be JavaScript's: no native work may outlive the environment. Promises stay
/// unsettled.
void close(void* data) {
  const std::unique_ptr<std::shared_ptr<Environment>> held(
      static_cast<std::shared_ptr<Environment>*>(data));
  Environment& environment = **held;
  std::unique_lock lock(environment.mutex);
  environment.closing = true;
  for (Job* job : stopAll(environment)) {
    if (!Executor::instance().withdraw(job->ticket)) continue;
    environment.jobs.erase(job);
    environment.done.insert(job);
  }
  environment.idle.wait(lock, [&] { return environment.jobs.empty(); });
  const std::set<Job*> left = std::exchange(environment.done, {});
  lock.unlock();
  for (Job* job : left) delete job;
}

using EnvironmentData = std::shared_ptr<Environment>;

EnvironmentData& environmentOf(Napi::Env env) { return *env.GetInstanceData<EnvironmentData>(); }

std::exception_ptr stopped() {
  return std::make_exception_ptr(Error("ABORTED", "the operation was stopped"));
}

/// Ends work that waited in the queue.
void abandon(Napi::Env env, Job* job) {
  {
    const std::lock_guard lock(job->environment->mutex);
    job->environment->jobs.erase(job);
  }
  job->prepared.compute = nullptr;
  job->metering.skip();
  job->error = stopped();
  deliver(env, job);
}

/// Rejects at once where the work is in a call that cannot be interrupted; it ends behind it, and
/// counts as running until then.
void leaveBehind(Napi::Env env, const StopHandle& handle) {
  Environment& environment = *environmentOf(env);
  Job* const job = handle.job;
  {
    const std::lock_guard lock(environment.mutex);
    if (!environment.jobs.contains(job) || job->ticket != handle.ticket || job->settled ||
        !job->stop.isDeaf())
      return;
    job->settled = true;
  }
  leave(env, environment);
  job->metering.tellRunning(env);
  reject(env, *job, translate(env, stopped()));
}

/// How long the end of the process waits for work that does not hear that it should stop.
constexpr std::chrono::seconds kPatience{5};

/// The environments of this thread.
thread_local std::vector<std::weak_ptr<Environment>> ofThisThread;

std::vector<std::shared_ptr<Environment>> living() {
  std::vector<std::shared_ptr<Environment>> living;
  for (const auto& each : ofThisThread) {
    if (auto environment = each.lock()) living.push_back(std::move(environment));
  }
  return living;
}

/// Stops what runs and waits for it; nothing begins any more, unless it shows that the process goes
/// on, as where a caller has emitted the event. At process.exit() Node.js calls no `close`, and
/// libtorch's static objects would be destroyed under the work.
void endWork(const Napi::CallbackInfo& info) {
  const auto environments = living();
  for (const auto& environment : environments) {
    environment->ending = true;
    const std::lock_guard lock(environment->mutex);
    stopAll(*environment);
    if (environment->closing) continue;
    environment->post([environment](Napi::Env) { environment->ending = false; });
  }
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (const auto& environment : environments) {
    std::unique_lock lock(environment->mutex);
    for (Job* job : std::set<Job*>(environment->jobs)) {
      if (!Executor::instance().withdraw(job->ticket)) continue;
      lock.unlock();
      abandon(info.Env(), job);
      lock.lock();
    }
    environment->idle.wait_until(lock, deadline, [&] { return environment->jobs.empty(); });
  }
}

/// Has `endWork` called when the process ends.
void endWorkAtExit(Napi::Env env) {
  const Napi::Value process = env.Global().Get("process");
  if (!process.IsObject() || !process.As<Napi::Object>().Get("on").IsFunction()) return;
  const auto on = process.As<Napi::Object>().Get("on").As<Napi::Function>();
  on.Call(process, {Napi::String::New(env, "exit"), Napi::Function::New(env, endWork)});
}

Prepared taken(const Napi::CallbackInfo& info, const Prepare& prepare, Memory memory) {
  const profiling::Stage stage("torch_curvature::arguments");
  return prepare(info, memory);
}

Napi::Value start(const Napi::CallbackInfo& info, const Prepare& prepare) {
  const Napi::Env env = info.Env();
  const auto& environment = environmentOf(env);
  if (environment->ending) throw Error("ABORTED", "the process is ending");
  Executor::instance().requireRoom();
  auto job = std::make_unique<Job>(environment, taken(info, prepare, Memory::kCopy), info);
  const Napi::Value last = info[info.Length() - 1];
  std::shared_ptr<StopHandle> handle;
  if (info.Length() > 1 && last.IsExternal()) {
    handle = unwrap<StopHandle>(last, "stop");
    job->stop = handle->token;
  }
  if (!job->prepared.out.IsEmpty()) {
    job->out = Napi::Persistent(job->prepared.out.As<Napi::Object>());
    job->prepared.out = {};
  }
  if (!job->prepared.kept.IsEmpty()) {
    job->kept = Napi::Persistent(job->prepared.kept.As<Napi::Object>());
    job->prepared.kept = {};
  }
  const Napi::Promise promise = job->deferred.Promise();
  const int threads = threadsFor(job->prepared.threads);
  // Ends before the work can begin, or the two would count the same time.
  {
    const profiling::Stage stage("torch_curvature::submit");
  }
  try {
    const std::lock_guard lock(environment->mutex);  // work that ends at once waits to be known
    Job* const raw = job.get();
    job->ticket = Executor::instance().submit(threads, [raw] { runAndReport(raw); });
    environment->jobs.insert(raw);
  } catch (const Error&) {  // other environments were faster to fill the queue
    reject(env, *job, translate(env, std::current_exception()));
    return promise;
  }
  if (handle) {
    handle->ticket = job->ticket;
    handle->job = job.get();
  }
  if (environment->undelivered++ == 0) napi_ref_threadsafe_function(env, environment->tasks);
  static_cast<void>(job.release());  // `deliver` owns it
  return promise;
}

Napi::Value runSync(const Napi::CallbackInfo& info, const Prepare& prepare) {
  const Prepared prepared = taken(info, prepare, Memory::kBorrow);
  const ThreadScope threads(prepared.threads);
  Metering metering(info);
  const Result result = metering.run([&] { return prepared.compute(StopToken()); });
  metering.tell(info.Env());
  const profiling::Stage stage("torch_curvature::result");
  return prepared.deliver(info.Env(), result, prepared.out);
}

}  // namespace

JsThread::JsThread(Napi::Env env) : environment_(environmentOf(env)) {}

bool JsThread::post(std::function<void(Napi::Env)> task) const {
  const std::lock_guard lock(environment_->mutex);
  if (environment_->closing) return false;
  environment_->post(std::move(task));
  return true;
}

void addScheduling(Napi::Env env, Napi::Object exports) {
  const auto environment = std::make_shared<Environment>();
  const Napi::String name = Napi::String::New(env, "torch-curvature");
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr,
                                      runTask, &environment->tasks) != napi_ok) {
    throw Napi::Error::New(env);
  }
  napi_unref_threadsafe_function(env, environment->tasks);
  env.SetInstanceData(new EnvironmentData(environment));
  napi_add_env_cleanup_hook(env, close, new EnvironmentData(environment));
  if (ofThisThread.empty()) endWorkAtExit(env);
  std::erase_if(ofThisThread, [](const auto& each) { return each.expired(); });
  ofThisThread.push_back(environment);

  add(env, exports, "createStop", [](const Napi::CallbackInfo& info) {
    return wrap(info.Env(), std::make_shared<StopHandle>());
  });
  add(env, exports, "stop", [](const Napi::CallbackInfo& info) {
    const auto& handle = unwrap<StopHandle>(info[0], "stop");
    handle->token.request();
    if (handle->job == nullptr) return info.Env().Undefined();
    if (Executor::instance().withdraw(handle->ticket)) {
      abandon(info.Env(), std::exchange(handle->job, nullptr));
    } else {
      leaveBehind(info.Env(), *handle);
    }
    return info.Env().Undefined();
  });
}

void addOperation(Napi::Env env, Napi::Object exports, const char* name, const Prepare& prepare) {
  add(env, exports, name,
      [prepare](const Napi::CallbackInfo& info) { return start(info, prepare); });
  const std::string sync = std::string(name) + "Sync";
  add(env, exports, sync.c_str(),
      [prepare](const Napi::CallbackInfo& info) { return runSync(info, prepare); });
}

}  // namespace tc::js
