#pragma once
// The part of doctest's interface that the core's tests use, so that they need nothing installed:
// test cases with subcases, checks that print both sides, captured values, Approx. Names and
// meanings are doctest's; its own header in this one's place does as well. main.cc holds the
// runner.
//
// A check may be made on any thread; a failed REQUIRE and FAIL end a test case by an exception, so
// they belong on the thread that runs it.

#include <algorithm>
#include <cmath>
#include <exception>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace doctest {

/// |value − other| < epsilon · (scale + max(|value|, |other|)): relative, and absolute near zero.
class Approx {
 public:
  explicit Approx(double value) : value_(value) {}
  Approx& epsilon(double epsilon) { return epsilon_ = epsilon, *this; }
  Approx& scale(double scale) { return scale_ = scale, *this; }
  double value() const { return value_; }
  bool near(double other) const {
    const double size = scale_ + std::max(std::fabs(value_), std::fabs(other));
    return std::fabs(other - value_) < epsilon_ * size || other == value_;
  }

 private:
  double value_;
  double epsilon_ = 100 * 1.1920929e-7;  // of single precision
  double scale_ = 1;
};

namespace detail {

// --- values in words
// ---------------------------------------------------------------------------------

template <typename T, typename = void>
struct IsPrintable : std::false_type {};
template <typename T>
struct IsPrintable<T, std::void_t<decltype(std::declval<std::ostream&>() << std::declval<T>())>>
    : std::true_type {};

template <typename T>
std::string text(const T& value) {
  std::ostringstream out;
  out.precision(17);
  if constexpr (std::is_same_v<T, bool>) {
    out << (value ? "true" : "false");
  } else if constexpr (std::is_same_v<T, Approx>) {
    out << "Approx(" << value.value() << ")";
  } else if constexpr (std::is_enum_v<T>) {
    out << static_cast<long long>(value);
  } else if constexpr (IsPrintable<const T&>::value) {
    out << value;
  } else {
    out << "{?}";
  }
  return out.str();
}

/// The arguments of FAIL(a << b): printed one after the other.
class Message {
 public:
  template <typename T>
  Message& operator<<(const T& value) {
    if constexpr (std::is_convertible_v<const T&, std::string>) {
      text_ += std::string(value);
    } else {
      text_ += detail::text(value);
    }
    return *this;
  }
  const std::string& str() const { return text_; }

 private:
  std::string text_;
};

// --- checks
// ------------------------------------------------------------------------------------------

/// What a check's expression came to, and both its sides in words where it fails.
struct Result {
  bool holds;
  std::string sides;
  explicit operator bool() const { return holds; }
};

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
#endif

/// The left side of a check's expression: `Decompose() <= a == b` reads `(Decompose() <= a) == b`.
template <typename L>
class Left {
 public:
  explicit Left(const L& value) : value_(value) {}
  explicit operator bool() const { return static_cast<bool>(value_); }
  const L& value() const { return value_; }

#define TC_COMPARISON(op)                                                              \
  template <typename R>                                                                \
  Result operator op(const R& right) const {                                           \
    if (compare(value_, right, [](const auto& a, const auto& b) { return a op b; })) { \
      return {true, {}};                                                               \
    }                                                                                  \
    return {false, text(value_) + " " #op " " + text(right)};                          \
  }
  TC_COMPARISON(==)
  TC_COMPARISON(!=)
  TC_COMPARISON(<)
  TC_COMPARISON(<=)
  TC_COMPARISON(>)
  TC_COMPARISON(>=)
#undef TC_COMPARISON

 private:
  template <typename A, typename B, typename Holds>
  static bool compare(const A& a, const B& b, const Holds& holds) {
    using View = std::string_view;
    constexpr bool literal = std::is_array_v<A> || std::is_array_v<B>;
    if constexpr (literal && std::is_convertible_v<const A&, View> &&
                  std::is_convertible_v<const B&, View>) {
      return holds(View(a), View(b));  // what they say, not where they lie
    } else {
      return static_cast<bool>(holds(a, b));
    }
  }

  const L& value_;
};

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

struct Decompose {
  template <typename L>
  Left<L> operator<=(const L& value) const {
    return Left<L>(value);
  }
};

inline Result result(Result compared) { return compared; }
inline Result result(bool holds) { return {holds, holds ? "" : "false"}; }
template <typename L>
Result result(const Left<L>& alone) {
  return static_cast<bool>(alone) ? Result{true, {}} : Result{false, text(alone.value())};
}

/// Counts a check, and prints it with what is captured where it failed.
void report(bool holds, const char* file, int line, const std::string& what,
            const std::string& detail);

/// What a failed REQUIRE and FAIL throw; their words are printed already. Not a std::exception, as
/// tests catch those.
struct Stop {};

// --- the context of a check, and parts of test cases
// ------------------------------------------------

/// Prints itself where a check fails while it lives, on the same thread.
class Context {
 public:
  explicit Context(std::function<std::string()> print);
  ~Context();
  Context(const Context&) = delete;
  std::string print() const { return print_(); }

 private:
  std::function<std::string()> print_;
};

/// A test case runs once for each of its innermost subcases.
class Subcase {
 public:
  Subcase(const char* name, int line);
  ~Subcase();
  Subcase(const Subcase&) = delete;
  explicit operator bool() const { return entered_; }

 private:
  bool entered_;
};

/// Adds a test case to the table when the program starts.
struct Registration {
  Registration(const char* name, const char* file, int line, void (*body)());
};

/// An exception in words.
std::string message(const std::exception_ptr& exception);

template <typename Error, typename Body>
void checkThrows(const Body& body, const char* file, int line, const char* what,
                 const std::string* expected, bool required) {
  std::string happened = "nothing was thrown";
  bool holds = false;
  try {
    body();
  } catch (const Stop&) {
    throw;
  } catch (const Error& error) {
    holds = true;
    if constexpr (std::is_base_of_v<std::exception, Error>) {
      if (expected != nullptr && *expected != error.what()) {
        holds = false;
        happened = std::string("the message is \"") + error.what() + '"';
      }
    }
  } catch (...) {
    happened = "something else was thrown: " + message(std::current_exception());
  }
  report(holds, file, line, what, happened);
  if (!holds && required) throw Stop();
}

template <typename Body>
void checkNothrow(const Body& body, const char* file, int line, const char* what, bool required) {
  std::string happened;
  bool holds = false;
  try {
    body();
    holds = true;
  } catch (const Stop&) {
    throw;
  } catch (...) {
    happened = "thrown: " + message(std::current_exception());
  }
  report(holds, file, line, what, happened);
  if (!holds && required) throw Stop();
}

}  // namespace detail

// A number against an Approx, either way round.
template <typename T>
using IfNumber = std::enable_if_t<std::is_convertible_v<T, double>, bool>;
// clang-format off
template <typename T> IfNumber<T> operator==(const T& a, const Approx& b) { return b.near(static_cast<double>(a)); }
template <typename T> IfNumber<T> operator==(const Approx& a, const T& b) { return b == a; }
template <typename T> IfNumber<T> operator!=(const T& a, const Approx& b) { return !(a == b); }
template <typename T> IfNumber<T> operator!=(const Approx& a, const T& b) { return !(b == a); }
template <typename T> IfNumber<T> operator<=(const T& a, const Approx& b) { return static_cast<double>(a) < b.value() || a == b; }
template <typename T> IfNumber<T> operator>=(const T& a, const Approx& b) { return static_cast<double>(a) > b.value() || a == b; }
template <typename T> IfNumber<T> operator<(const T& a, const Approx& b) { return static_cast<double>(a) < b.value() && a != b; }
template <typename T> IfNumber<T> operator>(const T& a, const Approx& b) { return static_cast<double>(a) > b.value() && a != b; }
// clang-format on

}  // namespace doctest

#define TC_CAT_(a, b) a##b
#define TC_CAT(a, b) TC_CAT_(a, b)
#define TC_NAME(prefix) TC_CAT(prefix, __COUNTER__)

#define TC_TEST_CASE(function, name)                                                              \
  static void function();                                                                         \
  static const ::doctest::detail::Registration TC_CAT(function, Registered)(name, __FILE__,       \
                                                                            __LINE__, &function); \
  static void function()

// The comparison inside has no parentheses, which is what lets it be taken apart.
#define TC_CHECK(negated, required, what, words, ...)                                           \
  do {                                                                                          \
    _Pragma("GCC diagnostic push")                                                              \
        _Pragma("GCC diagnostic ignored \"-Wparentheses\"")::doctest::detail::Result tcResult = \
            ::doctest::detail::result(::doctest::detail::Decompose() <= __VA_ARGS__);           \
    _Pragma("GCC diagnostic pop") const bool tcHolds = tcResult.holds != (negated);             \
    ::doctest::detail::report(tcHolds, __FILE__, __LINE__, what,                                \
                              tcHolds ? std::string() : words(tcResult.sides));                 \
    if (!tcHolds && (required)) throw ::doctest::detail::Stop();                                \
  } while (false)
#define TC_SIDES(sides) (sides)
#define TC_MESSAGE(...) (::doctest::detail::Message() << __VA_ARGS__).str()

#undef CHECK
#undef CHECK_EQ
#undef CHECK_NE
#undef CHECK_LT
#undef CHECK_LE
#undef CHECK_GT
#undef CHECK_GE
#undef INFO
#undef FAIL

#define TEST_CASE(name) TC_TEST_CASE(TC_NAME(tcTestCase), name)
#define SUBCASE(name) if (const ::doctest::detail::Subcase TC_NAME(tcSubcase){name, __LINE__})

#define CHECK(...) TC_CHECK(false, false, "CHECK(" #__VA_ARGS__ ")", TC_SIDES, __VA_ARGS__)
#define CHECK_FALSE(...) \
  TC_CHECK(true, false, "CHECK_FALSE(" #__VA_ARGS__ ")", TC_SIDES, __VA_ARGS__)
#define REQUIRE(...) TC_CHECK(false, true, "REQUIRE(" #__VA_ARGS__ ")", TC_SIDES, __VA_ARGS__)
#define REQUIRE_FALSE(...) \
  TC_CHECK(true, true, "REQUIRE_FALSE(" #__VA_ARGS__ ")", TC_SIDES, __VA_ARGS__)
#define TC_CHECK_MESSAGE(required, name, condition, ...)                            \
  do {                                                                              \
    const bool tcHolds = static_cast<bool>(condition);                              \
    ::doctest::detail::report(tcHolds, __FILE__, __LINE__, name "(" #condition ")", \
                              tcHolds ? std::string() : TC_MESSAGE(__VA_ARGS__));   \
    if (!tcHolds && (required)) throw ::doctest::detail::Stop();                    \
  } while (false)
#define CHECK_MESSAGE(condition, ...) TC_CHECK_MESSAGE(false, "CHECK", condition, __VA_ARGS__)
#define REQUIRE_MESSAGE(condition, ...) TC_CHECK_MESSAGE(true, "REQUIRE", condition, __VA_ARGS__)
#define CHECK_EQ(a, b) CHECK((a) == (b))
#define CHECK_NE(a, b) CHECK((a) != (b))
#define CHECK_LT(a, b) CHECK((a) < (b))
#define CHECK_LE(a, b) CHECK((a) <= (b))
#define CHECK_GT(a, b) CHECK((a) > (b))
#define CHECK_GE(a, b) CHECK((a) >= (b))

#define FAIL_CHECK(...) \
  ::doctest::detail::report(false, __FILE__, __LINE__, "FAIL_CHECK", TC_MESSAGE(__VA_ARGS__))
#define FAIL(...)                                                                          \
  do {                                                                                     \
    ::doctest::detail::report(false, __FILE__, __LINE__, "FAIL", TC_MESSAGE(__VA_ARGS__)); \
    throw ::doctest::detail::Stop();                                                       \
  } while (false)

#define TC_THROWS(required, name, expression, type, message)                                       \
  ::doctest::detail::checkThrows<type>([&] { static_cast<void>(expression); }, __FILE__, __LINE__, \
                                       name "(" #expression ", " #type ")", message, required)
#define CHECK_THROWS_AS(expression, type) \
  TC_THROWS(false, "CHECK_THROWS_AS", expression, type, nullptr)
#define REQUIRE_THROWS_AS(expression, type) \
  TC_THROWS(true, "REQUIRE_THROWS_AS", expression, type, nullptr)
#define CHECK_THROWS(expression) CHECK_THROWS_AS(expression, std::exception)
#define CHECK_THROWS_WITH_AS(expression, message, type)                     \
  do {                                                                      \
    const std::string tcMessage = message;                                  \
    TC_THROWS(false, "CHECK_THROWS_WITH_AS", expression, type, &tcMessage); \
  } while (false)
#define CHECK_THROWS_WITH(expression, message) \
  CHECK_THROWS_WITH_AS(expression, message, std::exception)
#define CHECK_NOTHROW(...)                                                                     \
  ::doctest::detail::checkNothrow([&] { static_cast<void>(__VA_ARGS__); }, __FILE__, __LINE__, \
                                  "CHECK_NOTHROW(" #__VA_ARGS__ ")", false)
#define REQUIRE_NOTHROW(...)                                                                   \
  ::doctest::detail::checkNothrow([&] { static_cast<void>(__VA_ARGS__); }, __FILE__, __LINE__, \
                                  "REQUIRE_NOTHROW(" #__VA_ARGS__ ")", true)

#define INFO(...)                                      \
  const ::doctest::detail::Context TC_NAME(tcContext)( \
      [&]() -> std::string { return TC_MESSAGE(__VA_ARGS__); })
#define CAPTURE(x) INFO(#x " := " << x)
