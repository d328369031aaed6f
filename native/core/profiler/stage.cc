#include "core/profiler/stage.h"

#include <ATen/ThreadLocalState.h>
#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "core/profiler/meter.h"
#include "core/profiler/operator_flops.h"
#include "core/profiler/stage_log.h"
#include "core/profiler/thread_name.h"

namespace tc::profiling {
namespace {

std::mutex currentMutex;
std::shared_ptr<StageLog> currentLog;

/// Whether this thread works for another one that records.
thread_local bool helping = false;

thread_local Meter* metering = nullptr;

}  // namespace

Meter::Scope::Scope(Meter* meter) : before_(std::exchange(metering, meter)) {}

Meter::Scope::~Scope() { metering = before_; }

Meter* Meter::current() { return metering; }

std::shared_ptr<StageLog> StageLog::current() {
  const std::lock_guard lock(currentMutex);
  return currentLog;
}

void StageLog::setCurrent(std::shared_ptr<StageLog> log) {
  const std::lock_guard lock(currentMutex);
  currentLog = std::move(log);
}

int64_t StageLog::add(const StageDetails& details) {
  const std::lock_guard lock(mutex_);
  thread_local uint64_t noted = 0;  // the last log that knows this thread
  if (noted != serial_) {
    noted = serial_;
    ThisThread thread = thisThread();
    if (thread.id != 0) threads_[thread.id] = std::move(thread.name);
  }
  details_.push_back(details);
  return -1 - static_cast<int64_t>(details_.size());
}

uint64_t StageLog::nextSerial() {
  static std::atomic<uint64_t> serial = 0;
  return ++serial;
}

std::unordered_map<int64_t, std::string> StageLog::threads() const {
  const std::lock_guard lock(mutex_);
  return threads_;
}

std::optional<StageDetails> StageLog::find(int64_t sequence) const {
  const std::lock_guard lock(mutex_);
  if (sequence > -2 || indexOf(sequence) >= details_.size()) return {};
  return details_[indexOf(sequence)];
}

struct Stage::Span {
  std::shared_ptr<StageLog> log;  ///< null where somebody else than our profiler listens
  int64_t sequence = -1;
  at::RecordFunction record;

  explicit Span(at::StepCallbacks&& callbacks) : record(std::move(callbacks)) {}
};

Stage::Stage(const char* name, std::initializer_list<at::Tensor> inputs) {
  auto callbacks = at::getStepCallbacksUnlessEmpty(at::RecordScope::FUNCTION);
  if (!callbacks) return;
  span_ = new Span(std::move(*callbacks));
  span_->log = StageLog::current();
  if (span_->log) {
    StageDetails details;
    details.helper = helping;
    span_->sequence = span_->log->add(details);
  }
  if (span_->record.needsInputs()) {
    const std::vector<c10::IValue> values(inputs.begin(), inputs.end());
    span_->record.before(name, &values, span_->sequence);
  } else {
    span_->record.before(name, span_->sequence);
  }
}

void Stage::end() { delete std::exchange(span_, nullptr); }

void Stage::counts(int64_t flops, int64_t executed) const {
  if (metering != nullptr) countStage(*metering, flops);
  if (span_ == nullptr || !span_->log) return;
  span_->log->change(span_->sequence, [&](StageDetails& details) {
    details.flops += static_cast<uint64_t>(flops);
    details.executed += static_cast<uint64_t>(executed);
  });
}

void Stage::describes(int64_t parameters, int64_t batch, const char* engine) const {
  if (metering != nullptr && engine != nullptr) metering->setEngine(engine);
  if (span_ == nullptr || !span_->log) return;
  span_->log->change(span_->sequence, [&](StageDetails& details) {
    details.parameters = parameters;
    details.batch = batch;
    details.engine = engine;
  });
}

void Stage::waits() const {
  if (span_ == nullptr || !span_->log) return;
  span_->log->change(span_->sequence, [](StageDetails& details) { details.helper = true; });
}

struct Helpers::Caller {
  uint64_t thread = at::RecordFunction::currentThreadId();
  at::ThreadLocalState state;
  Meter* meter = metering;
};

Helpers::Helpers() {
  if (metering != nullptr || at::getStepCallbacksUnlessEmpty(at::RecordScope::FUNCTION))
    caller_ = new Caller;
}

Helpers::~Helpers() { delete caller_; }

struct Helpers::Scope::State {
  at::ThreadLocalStateGuard guard;
  Meter::Scope meter;
  bool before = std::exchange(helping, true);

  State(const at::ThreadLocalState& state, Meter* meter) : guard(state), meter(meter) {}
  ~State() { helping = before; }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Helpers::Scope::Scope(const Helpers& helpers) {
  if (helpers.caller_ == nullptr ||
      at::RecordFunction::currentThreadId() == helpers.caller_->thread)
    return;
  nameThisThread("tc-helper");
  state_ = new State(helpers.caller_->state, helpers.caller_->meter);
}

Helpers::Scope::~Scope() { delete state_; }

}  // namespace tc::profiling
