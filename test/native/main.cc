// Runs the test cases of doctest/doctest.h.
//
//   core_tests [-tc=PATTERN[,PATTERN]] [-sf=PATTERN[,PATTERN]] [-ltc] [-r=json]
//
// -tc runs the cases whose name matches a pattern, in which `*` stands for anything, -sf those
// whose source file does; -ltc lists names, one a line. -r=json prints, for another program,
// {"start": name} before each case and
// {"end": name, "ok", "checks", "ms", "output"} after it. Exit status: 0 where all passed, 1 where
// one failed or none matched.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "doctest/doctest.h"

namespace doctest::detail {

namespace {

struct Case {
  std::string name;
  std::string file;
  int line;
  void (*body)();
};

/// A function's own: registrations in other files may come before any variable here.
std::vector<Case>& cases() {
  static std::vector<Case> table;
  return table;
}

// What the running case has come to; checks are made on several threads.
std::mutex mutex;
std::atomic<int64_t> checks{0};
std::atomic<bool> failed{false};
std::string output;

thread_local std::vector<const Context*> contexts;

/// What is said of one case at most: a check in a loop can fail a million times.
constexpr size_t kMostOutput = 50'000;

void print(const std::string& words) {
  const std::lock_guard lock(mutex);
  if (output.size() > kMostOutput) return;
  output += words;
  if (output.size() > kMostOutput) output += "\n… and more\n";
}

// --- subcases: the paths entered in this run of the case, and those that are done
// -----------------------

using Path = std::vector<std::string>;
Path path;
std::set<Path> done;
std::set<Path> chosen;      // where one subcase was entered already in this run
std::set<Path> unfinished;  // where one was left for another run

}  // namespace

Context::Context(std::function<std::string()> print) : print_(std::move(print)) {
  contexts.push_back(this);
}
Context::~Context() { contexts.pop_back(); }

Subcase::Subcase(const char* name, int line) : entered_(false) {
  Path mine = path;
  mine.push_back(std::to_string(line) + ": " + name);
  if (done.count(mine) != 0) return;
  if (!chosen.insert(path).second) {
    for (Path above = path;; above.pop_back()) {
      unfinished.insert(above);
      if (above.empty()) break;
    }
    return;
  }
  entered_ = true;
  path = std::move(mine);
}

Subcase::~Subcase() {
  if (!entered_) return;
  if (unfinished.count(path) == 0) done.insert(path);
  path.pop_back();
}

Registration::Registration(const char* name, const char* file, int line, void (*body)()) {
  cases().push_back({name, file, line, body});
}

void report(bool holds, const char* file, int line, const std::string& what,
            const std::string& detail) {
  ++checks;
  if (holds) return;
  failed = true;
  std::string words = std::string(file) + ":" + std::to_string(line) + ": " + what + "\n";
  if (!detail.empty()) words += "  " + detail + "\n";
  for (const std::string& part : path) words += "  in subcase at line " + part + "\n";
  for (const Context* context : contexts) words += "  " + context->print() + "\n";
  print(words);
}

std::string message(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "not a std::exception";
  }
}

namespace {

void runOnce(const Case& test) {
  try {
    test.body();
  } catch (const Stop&) {
    // A failed REQUIRE, which is printed already.
  } catch (...) {
    report(false, test.file.c_str(), test.line, "thrown", message(std::current_exception()));
  }
}

/// The milliseconds it took.
double run(const Case& test) {
  checks = 0;
  failed = false;
  output.clear();
  done.clear();
  const auto start = std::chrono::steady_clock::now();
  do {
    chosen.clear();
    unfinished.clear();
    path.clear();
    runOnce(test);
  } while (!unfinished.empty());
  if (checks == 0) report(false, test.file.c_str(), test.line, "the test case checks nothing", "");
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

/// Whether `*` in the pattern can stand for something so that it is the name.
bool matches(const char* pattern, const char* name) {
  if (*pattern == '*')
    return matches(pattern + 1, name) || (*name != 0 && matches(pattern, name + 1));
  if (*pattern == 0 || *name == 0) return *pattern == *name;
  return *pattern == *name && matches(pattern + 1, name + 1);
}

std::string quoted(const std::string& words) {
  std::string json = "\"";
  for (const unsigned char c : words) {
    char escaped[8];
    if (c == '"' || c == '\\') {
      json += '\\';
      json += static_cast<char>(c);
    } else if (c < 0x20) {
      std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      json += escaped;
    } else {
      json += static_cast<char>(c);
    }
  }
  return json + '"';
}

/// `a\,b` names a case with a comma in it.
std::vector<std::string> patterns(const std::string& list) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '\\' && i + 1 < list.size() && list[i + 1] == ',') {
      parts.back() += list[++i];
    } else if (list[i] == ',') {
      parts.emplace_back();
    } else {
      parts.back() += list[i];
    }
  }
  return parts;
}

struct Options {
  std::vector<std::string> only{"*"};
  std::vector<std::string> files{"*"};
  bool list = false;
  bool json = false;
};

std::optional<Options> parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument.rfind("-tc=", 0) == 0) {
      options.only = patterns(argument.substr(4));
    } else if (argument.rfind("-sf=", 0) == 0) {
      options.files = patterns(argument.substr(4));
    } else if (argument == "-ltc") {
      options.list = true;
    } else if (argument == "-r=json") {
      options.json = true;
    } else {
      std::cerr
          << "unknown: " << argument
          << "\ncore_tests [-tc=PATTERN[,PATTERN]] [-sf=PATTERN[,PATTERN]] [-ltc] [-r=json]\n";
      return std::nullopt;
    }
  }
  return options;
}

bool matchesAny(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return matches(pattern.c_str(), name.c_str());
  });
}

std::vector<Case> selected(const Options& options) {
  std::vector<Case> chosenCases;
  for (const Case& test : cases()) {
    if (matchesAny(options.only, test.name) && matchesAny(options.files, test.file))
      chosenCases.push_back(test);
  }
  std::sort(chosenCases.begin(), chosenCases.end(), [](const Case& a, const Case& b) {
    return std::tie(a.file, a.line) < std::tie(b.file, b.line);
  });
  return chosenCases;
}

int runAll(const std::vector<Case>& tests, bool json) {
  size_t wrong = 0;
  int64_t total = 0;
  for (const Case& test : tests) {
    if (json) std::cout << "{\"start\":" << quoted(test.name) << "}" << std::endl;
    const double ms = run(test);
    total += checks;
    if (failed) ++wrong;
    if (json) {
      std::cout << "{\"end\":" << quoted(test.name) << ",\"ok\":" << (failed ? "false" : "true")
                << ",\"checks\":" << checks << ",\"ms\":" << ms << ",\"output\":" << quoted(output)
                << "}" << std::endl;
    } else if (failed) {
      std::cout << "FAILED: " << test.name << "\n" << output << std::endl;
    }
  }
  if (!json) {
    std::cout << tests.size() - wrong << " test cases passed, " << wrong << " failed; " << total
              << " checks" << std::endl;
  }
  return wrong == 0 && !tests.empty() ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  const auto options = parse(count, arguments);
  if (!options) return 2;
  const auto tests = selected(*options);
  std::set<std::string> names;
  for (const Case& test : tests) {
    if (!names.insert(test.name).second) {
      std::cerr << "two test cases are called: " << test.name << "\n";
      return 2;
    }
  }
  if (!options->list) return runAll(tests, options->json);
  for (const Case& test : tests) std::cout << test.name << "\n";
  return 0;
}

}  // namespace doctest::detail

int main(int count, char** arguments) { return doctest::detail::main(count, arguments); }
