#include "core/distributed/ipv4.h"

#include <unistd.h>

#include <cerrno>
#include <thread>

#include <doctest/doctest.h>

using namespace tc;

TEST_CASE("which hosts are IPv4 addresses") {
  for (const char* host : {"127.0.0.1", "10.20.30.40"}) CHECK(isIPv4(host));
  for (const char* host : {"localhost", "::1", "::ffff:127.0.0.1", "127.1", "10.0.0.256", ""})
    CHECK(!isIPv4(host));
}

TEST_CASE("the addresses of names") {
  using std::chrono::milliseconds;
  using std::chrono::steady_clock;
  const auto now = steady_clock::now();
  CHECK(toIPv4("10.20.30.40", now) == "10.20.30.40");
  CHECK(toIPv4("localhost", now) == "127.0.0.1");
  // Nothing to wait for: it has an address, of another kind.
  CHECK(toIPv4("::1", now + std::chrono::minutes(10)) == "::1");
  CHECK(steady_clock::now() - now < std::chrono::minutes(1));
  const auto deadline = steady_clock::now() + milliseconds(200);
  CHECK(!toIPv4("nobody.invalid", deadline));  // RFC 2606
  CHECK(steady_clock::now() >= deadline);
}

TEST_CASE("a port is listened on once") {
  const auto first = listenOnIPv4(0);
  REQUIRE(first);
  CHECK(portOf(*first) > 0);
  errno = 0;
  CHECK(!listenOnIPv4(portOf(*first)));
  CHECK(errno == EADDRINUSE);
  const int port = portOf(*first);
  close(*first);
  const auto second = listenOnIPv4(port);
  REQUIRE(second);
  CHECK(portOf(*second) == port);
  close(*second);
}

TEST_CASE("one who listens is waited for, until the deadline") {
  using std::chrono::milliseconds;
  using std::chrono::steady_clock;
  const auto placeholder = listenOnIPv4(0);
  REQUIRE(placeholder);
  const int port = portOf(*placeholder);
  CHECK(awaitListener("127.0.0.1", port, steady_clock::now()));
  close(*placeholder);
  const auto began = steady_clock::now();
  CHECK(!awaitListener("127.0.0.1", port, began + milliseconds(200)));
  CHECK(steady_clock::now() - began >= milliseconds(200));
  std::thread late([port] {
    std::this_thread::sleep_for(milliseconds(100));
    const auto listener = listenOnIPv4(port);
    CHECK(listener);
    std::this_thread::sleep_for(milliseconds(1000));
    if (listener) close(*listener);
  });
  CHECK(awaitListener("127.0.0.1", port, steady_clock::now() + milliseconds(5000)));
  late.join();
}
