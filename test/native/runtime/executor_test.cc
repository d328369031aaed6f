#include "core/runtime/executor.h"

#include <future>

#include "code_of.h"

// After libtorch, whose logging macros have the same names.
#include <doctest/doctest.h>

using namespace tc;

TEST_CASE("work has room as soon as the work before it has told its result") {
  Executor& executor = Executor::instance();
  const Executor::Limits before = executor.limits();
  executor.setLimits({.concurrency = 1, .maxQueue = 0});
  std::promise<void> begun;
  std::promise<void> told;
  std::promise<void> tell;
  std::promise<void> leave;
  std::promise<void> second;
  executor.submit(1, [&] {
    begun.set_value();
    tell.get_future().wait();
    Executor::finish();
    told.set_value();
    leave.get_future().wait();  // the thread is not free yet
  });
  begun.get_future().wait();
  CHECK(test::codeOf([&] { executor.submit(1, [] {}); }) == "ERR_BUSY");
  tell.set_value();
  told.get_future().wait();
  executor.submit(1, [&] { second.set_value(); });
  CHECK(executor.counters().running == 1);
  CHECK(executor.counters().queued == 0);
  CHECK(test::codeOf([&] { executor.submit(1, [] {}); }) == "ERR_BUSY");
  executor.setLimits({.concurrency = 1, .maxQueue = 1});
  std::promise<void> third;
  executor.submit(1, [&] { third.set_value(); });
  CHECK(executor.counters().running == 1);
  CHECK(executor.counters().queued == 1);
  CHECK(test::codeOf([&] { executor.submit(1, [] {}); }) == "ERR_BUSY");
  leave.set_value();
  second.get_future().wait();
  third.get_future().wait();
  executor.setLimits(before);
}
