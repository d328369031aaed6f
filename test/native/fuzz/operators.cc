// Calls every operator that models may consist of with arguments drawn from its schema, forward and
// backward, in processes of their own: none may end by a signal or take longer than a few seconds.
// A third of the calls have arguments that nobody would pass, a third some that are often taken,
// and a third are known ones (known_calls.h), changed a little. Of three calls one gets tensors
// whose memory ends at a page that nobody may touch, and one some that begin behind one.
//
//   operators_fuzz [--trials N] [--seed S] [--part I/N] [name …]
//
// A part is every N-th overload, beginning with number I, for processes beside one another.
// Prints one line for each overload (`ok NAME accepted/trials`), or `FAILED NAME why: the call`.
// Exit status 1 if any failed.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/jit_type.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <torch/csrc/autograd/autograd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <iostream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "core/program/allowed_operators.h"
#include "core/program/argument_checks.h"
#include "core/program/program.h"
#include "core/runtime/memory.h"
#include "draw.h"
#include "drawn_calls.h"
#include "guarded_memory.h"
#include "known_calls.h"

namespace {

using tc::test::Draw;

constexpr int kSeconds = 20;
constexpr rlim_t kAddressSpace = rlim_t{3} << 30;
constexpr int64_t kMostRead = 1 << 24;
constexpr int kCrashes = 3;  // of one overload that are looked for
/// Overloads that one process calls, unless it ends before: to fork one, with libtorch in it, takes
/// longer than the calls.
constexpr size_t kTogether = 32;
// Operators that seldom take what is drawn are called more often, up to so many times as often.
constexpr int64_t kAccepted = 20;
constexpr int64_t kPatience = 50;

constexpr int64_t kSmall[] = {0, 1, 2, 3, -1, -2, 5};
constexpr int64_t kAny[] = {0,
                            1,
                            2,
                            7,
                            63,
                            64,
                            1000,
                            -1000,
                            std::numeric_limits<int32_t>::max(),
                            std::numeric_limits<int32_t>::min(),
                            int64_t{1} << 31,
                            int64_t{1} << 40,
                            int64_t{1} << 62,
                            std::numeric_limits<int64_t>::min(),
                            std::numeric_limits<int64_t>::max()};
constexpr double kFractions[] = {0,
                                 1,
                                 -1,
                                 0.5,
                                 2,
                                 1e-5,
                                 3,
                                 1e300,
                                 -0.0,
                                 std::numeric_limits<double>::infinity(),
                                 std::numeric_limits<double>::quiet_NaN()};
constexpr const char* kTexts[] = {"none",      "mean",      "sum",     "constant", "reflect",
                                  "replicate", "circular",  "floor",   "trunc",    "tanh",
                                  "fro",       "nuc",       "ij",      "xy",       "amax",
                                  "amin",      "prod",      "linear",  "lower",    "ij,jk->ik",
                                  "ij->",      "...i->...", "reduced", "U",        ""};
constexpr at::ScalarType kTypes[] = {
    at::kFloat,        at::kDouble, at::kLong, at::kInt,      at::kBool,  at::kByte,
    at::kComplexFloat, at::kChar,   at::kHalf, at::kBFloat16, at::kShort, at::kComplexDouble};

int64_t number(Draw& draw) { return draw.chance(0.75) ? draw.one(kSmall) : draw.one(kAny); }

std::vector<int64_t> shape(Draw& draw) {
  std::vector<int64_t> sizes(static_cast<size_t>(draw.whole(0, 5)));
  for (int64_t& size : sizes) size = draw.chance(0.1) ? 0 : draw.whole(1, 5);
  return sizes;
}

at::Tensor tensor(Draw& draw, const std::vector<int64_t>& like) {
  const auto sizes = draw.chance(0.6) ? like : shape(draw);
  const at::ScalarType type =
      draw.chance(0.6) ? (draw.chance(0.5) ? at::kDouble : at::kFloat) : draw.one(kTypes);
  at::Tensor t;
  if (type == at::kBool) {
    t = at::rand(sizes) > 0.5;
  } else if (c10::isIntegralType(type, false)) {
    t = at::randint(draw.chance(0.6) || type == at::kByte ? 0 : -3, 6, sizes).to(type);
    if ((type == at::kLong || type == at::kInt) && t.numel() > 0 && draw.chance(0.15))
      t.view({-1})[0].fill_(type == at::kInt ? int64_t{1} << 30 : draw.one(kAny));
  } else {
    t = at::randn(sizes, at::isComplexType(type) ? at::kComplexDouble : at::kDouble).to(type);
    if (t.numel() > 0 && draw.chance(0.1))
      t.view({-1})[0].copy_(at::scalar_tensor(draw.one(kFractions), at::kDouble));
  }
  if (t.dim() >= 2 && draw.chance(0.2)) t = t.transpose(0, -1);
  if (t.dim() >= 1 && t.size(0) > 0 && draw.chance(0.1)) t = t.narrow(0, 0, 1).expand_as(t);
  const bool differentiable = t.is_floating_point() || t.is_complex();
  return differentiable && draw.chance(0.6) ? t.detach().requires_grad_() : t;
}

/// An argument of the type; empty for a type that is not drawn.
std::optional<c10::IValue> argument(Draw& draw, const c10::TypePtr& type, const std::string& name,
                                    const std::vector<int64_t>& like) {
  if (const auto optional = type->cast<c10::OptionalType>()) {
    if (draw.chance(0.4)) return c10::IValue();
    return argument(draw, optional->getElementType(), name, like);
  }
  if (const auto list = type->cast<c10::ListType>()) {
    const auto& element = list->getElementType();
    c10::impl::GenericList values(element);
    const bool sizes = element->kind() == c10::TypeKind::IntType && draw.chance(0.3);
    const auto count = sizes ? static_cast<int64_t>(like.size()) : draw.whole(0, 5);
    for (int64_t i = 0; i < count; ++i) {
      auto value = sizes ? std::optional(c10::IValue(like[static_cast<size_t>(i)]))
                         : argument(draw, element, name, like);
      if (!value) return {};
      values.push_back(std::move(*value));
    }
    return c10::IValue(values);
  }
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return c10::IValue(tensor(draw, like));
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      if (name == "dtype") return c10::IValue(static_cast<int64_t>(draw.one(kTypes)));
      if (name == "layout" || name == "memory_format") return c10::IValue(int64_t{0});
      return c10::IValue(number(draw));
    case c10::TypeKind::FloatType:
      return c10::IValue(draw.one(kFractions));
    case c10::TypeKind::NumberType:
      return draw.chance(0.5) ? c10::IValue(number(draw)) : c10::IValue(draw.one(kFractions));
    case c10::TypeKind::BoolType:
      return c10::IValue(draw.chance(0.5));
    case c10::TypeKind::StringType:
      return c10::IValue(std::string(draw.one(kTexts)));
    case c10::TypeKind::DeviceObjType:
      return c10::IValue(c10::Device(c10::kCPU));
    case c10::TypeKind::GeneratorType:
      return c10::IValue();
    default:
      return {};
  }
}

std::string describe(const c10::IValue& value) {
  std::ostringstream text;
  if (value.isTensor()) {
    const at::Tensor t = value.toTensor();
    if (!t.defined()) return "undefined";
    text << t.scalar_type() << t.sizes() << (t.requires_grad() ? " grad" : "");
    if (!t.is_floating_point() && !t.is_complex() && t.numel() > 0)
      text << " from " << t.reshape({-1})[0].item<int64_t>();
  } else if (value.isList()) {
    text << '[';
    for (const c10::IValue& each : value.toListRef()) text << describe(each) << "; ";
    text << ']';
  } else {
    text << value;
  }
  return text.str();
}

/// Where a process is, in memory that outlives it.
struct Report {
  size_t at;  ///< the overload
  int64_t trial;
  int64_t accepted;
  int crashes;
  std::array<char, 3000> call;

  void next() {
    ++at;
    trial = accepted = crashes = 0;
  }
  void say(const std::string& text) { std::strncpy(call.data(), text.c_str(), call.size() - 1); }
};

/// Reads what a call gave, and calls its backward pass.
void readAndPull(const std::vector<at::Tensor>& results) {
  for (const at::Tensor& each : results) {
    // An expanded tensor may stand for more numbers than anybody could add.
    if (!each.defined() || each.numel() == 0 || each.numel() > kMostRead) continue;
    if (!each.is_complex()) each.sum().item<double>();
    if (!each.requires_grad()) continue;
    const at::Tensor sum = each.is_complex() ? at::real(each * each.conj()).sum() : each.sum();
    sum.backward({}, /*retain_graph=*/true);
  }
}

/// A call with odd arguments. False where some are of a type that is not drawn.
bool callOdd(const c10::OperatorHandle& op, uint64_t seed, Report& report) {
  Draw draw(seed);
  at::manual_seed(seed);
  const auto like = shape(draw);
  torch::jit::Stack stack;
  std::string text;
  for (const auto& each : op.schema().arguments()) {
    std::optional<c10::IValue> value;
    if (each.default_value() && draw.chance(0.35)) {
      value = *each.default_value();
    } else {
      value = argument(draw, each.type(), each.name(), like);
    }
    if (!value) return false;
    text += each.name() + " = " + describe(*value) + ", ";
    stack.push_back(std::move(*value));
  }
  report.say(text);
  if (const auto check = tc::findArgumentCheck(op)) check(op.schema(), stack);
  op.callBoxed(stack);
  std::vector<at::Tensor> results;
  for (const c10::IValue& each : stack) {
    if (each.isTensor()) results.push_back(each.toTensor());
    if (each.isTensorList())
      for (const at::Tensor& one : each.toTensorVector()) results.push_back(one);
  }
  readAndPull(results);
  return true;
}

/// A call as programs make them.
bool callOfProgram(const tc::test::DrawnCall& call, Report& report) {
  report.say(call.text);
  std::vector<at::Tensor> values;
  for (const at::Tensor& value : call.values) {
    values.push_back(value.detach());
    if (value.is_floating_point() || value.is_complex()) values.back().requires_grad_();
  }
  const auto arguments = static_cast<ptrdiff_t>(values.size());
  tc::Program::call(call.node, at::zeros({}, at::kDouble), values);
  readAndPull({values.begin() + arguments, values.end()});
  return true;
}

/// One call and its backward pass. False where the operator refuses its arguments.
bool attempt(const c10::OperatorHandle& op, uint64_t seed, Report& report) {
  using tc::test::Guarded;
  constexpr std::array kMemory = {Guarded::kNot, Guarded::kEnds, Guarded::kBegins};
  tc::test::guardMemory(kMemory[seed / 3 % kMemory.size()]);
  try {
    if (seed % 3 == 0) return callOdd(op, seed, report);
    const size_t known = seed % 3 == 1 ? tc::test::knownCalls(op) : 0;
    const auto call =
        known > 0
            ? std::optional(tc::test::knownCall(op, seed / 9 % known, {3, /*far=*/true}, seed))
            : tc::test::drawCall(op, seed);
    return call && callOfProgram(*call, report);
  } catch (const std::exception&) {
    return false;
  }
}

struct Plan {
  std::vector<c10::OperatorHandle> operators;
  int64_t trials = 100;
  uint64_t seed = 1;
};

std::string nameOf(const c10::OperatorHandle& op) { return c10::toString(op.operator_name()); }

/// Goes on where the report says that the last process ended.
[[noreturn]] void child(const Plan& plan, Report& report) {
  const rlimit memory{kAddressSpace, kAddressSpace};
  setrlimit(RLIMIT_AS, &memory);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  const int silent = open("/dev/null", O_WRONLY);
  dup2(silent, STDERR_FILENO);
  const auto more = [&] {
    return report.crashes < kCrashes &&
           (report.trial < plan.trials ||
            (report.accepted < kAccepted && report.trial < plan.trials * kPatience));
  };
  const size_t end = std::min(report.at + kTogether, plan.operators.size());
  for (; report.at < end; report.next()) {
    const c10::OperatorHandle& op = plan.operators[report.at];
    for (; more(); ++report.trial) {
      alarm(kSeconds);
      const uint64_t seed = plan.seed + static_cast<uint64_t>(report.trial);
      report.accepted += attempt(op, seed, report) ? 1 : 0;
      alarm(0);
    }
    if (report.crashes == 0)
      std::cout << "ok " << nameOf(op) << ' ' << report.accepted << '/' << report.trial
                << std::endl;
  }
  _exit(0);
}

/// Whether all trials ended in a result or an exception.
bool survive(const Plan& plan, Report& report) {
  bool all = true;
  while (report.at < plan.operators.size()) {
    const pid_t pid = fork();
    if (pid == 0) child(plan, report);
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    all = false;
    std::cout << "FAILED " << nameOf(plan.operators[report.at]) << ' '
              << (WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "ended") << " at seed "
              << plan.seed + static_cast<uint64_t>(report.trial) << ": " << report.call.data()
              << std::endl;
    ++report.crashes;
    ++report.trial;
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  Plan plan;
  size_t part = 0;
  size_t parts = 1;
  std::vector<std::string> only;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--trials" && i + 1 < argc) {
      plan.trials = std::stoll(argv[++i]);
    } else if (word == "--seed" && i + 1 < argc) {
      plan.seed = std::stoull(argv[++i]);
    } else if (word == "--part" && i + 1 < argc) {
      const std::string which = argv[++i];
      part = std::stoull(which);
      parts = std::stoull(which.substr(which.find('/') + 1));
    } else {
      only.push_back(word);
    }
  }
  at::set_num_threads(1);  // threads do not survive a fork
  tc::guardAllocations();
  size_t count = 0;
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
    const auto op = c10::Dispatcher::singleton().findSchema(name);
    if (!op || op->schema().is_mutable() || !tc::isAllowed(*op)) continue;
    const std::string plain = op->schema().name().substr(std::strlen("aten::"));
    if (!only.empty() && std::find(only.begin(), only.end(), plain) == only.end()) continue;
    if (op->hasTag(at::Tag::nondeterministic_seeded)) continue;  // refused for what they are
    if (count++ % parts == part) plan.operators.push_back(*op);
  }
  auto* report = static_cast<Report*>(
      mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  return survive(plan, *report) ? 0 : 1;
}
