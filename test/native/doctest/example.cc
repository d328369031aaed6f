// Cases that fail in each way there is: native.test.ts reads what the runner says of them.
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>

#include "doctest.h"

TEST_CASE("holds, in both parts") {
  int parts = 0;
  SUBCASE("one") { ++parts; }
  SUBCASE("two") { ++parts; }
  CHECK(parts == 1);
  CHECK(0.1 + 0.2 == doctest::Approx(0.3).epsilon(1e-12));
  CHECK_FALSE(0.3001 == doctest::Approx(0.3).epsilon(1e-6));
  CHECK_THROWS_AS(throw std::out_of_range("here"), std::logic_error);
  CHECK_NOTHROW(static_cast<void>(parts));
}

TEST_CASE("fails twice") {
  const int three = 3;
  CAPTURE(three);
  CHECK(three + 1 == 5);
  CHECK(std::string("a \"quoted\" word") == "another");
}

TEST_CASE("stops") {
  REQUIRE(1 > 2);
  FAIL("not reached");
}

TEST_CASE("throws") {
  CHECK(true);
  throw std::runtime_error("something happened");
}

TEST_CASE("does not throw what it should") {
  CHECK_THROWS_AS(throw std::runtime_error("this"), std::logic_error);
  CHECK_THROWS(static_cast<void>(0));
}

TEST_CASE("ends the process") {
  CHECK(true);
  std::raise(SIGKILL);
}

TEST_CASE("fails on another thread, in its second part") {
  SUBCASE("one") { CHECK(true); }
  SUBCASE("two") {
    std::thread([] { CHECK(2 != 2); }).join();
  }
}

TEST_CASE("checks nothing") {}

TEST_CASE("holds after those") { CHECK(true); }
