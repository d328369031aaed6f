#include "known_calls.h"

#include <ATen/ATen.h>
#include <ATen/core/jit_type.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "draw.h"

namespace tc::test {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream rest(text);
  for (std::string part; std::getline(rest, part, separator);) parts.push_back(part);
  return parts;
}

std::string joined(const std::vector<std::string>& parts, char separator) {
  std::string text;
  for (const std::string& part : parts)
    text += (text.empty() ? "" : std::string(1, separator)) + part;
  return text;
}

/// The word of a tensor, taken apart.
struct TensorWord {
  explicit TensorWord(const std::string& word) {
    std::vector<std::string> fields = split(word.substr(1), ':');
    fields.resize(3);
    type = fields[0];
    sizes = split(fields[1], ',');
    values = split(fields[2], ',');
  }
  std::string word() const {
    return 'T' + type + ':' + joined(sizes, ',') + ':' + joined(values, ',');
  }

  std::string type;
  std::vector<std::string> sizes;
  std::vector<std::string> values;  ///< of whole numbers
};

// --- words made other ones
// -------------------------------------------------------------------------------

using Change = std::string (*)(const std::string&, Draw&);

std::string nearNumber(const std::string& word, Draw& draw) {
  constexpr int64_t kNear[] = {1, -1, 2, -2};
  return std::to_string(std::stoll(word) + draw.one(kNear));
}

std::string farNumber(const std::string& word, Draw& draw) {
  constexpr int64_t kFar[] = {0,
                              1,
                              -1,
                              2,
                              64,
                              -64,
                              1000,
                              int64_t{1} << 31,
                              int64_t{1} << 40,
                              std::numeric_limits<int64_t>::max(),
                              std::numeric_limits<int64_t>::min()};
  return draw.chance(0.3) ? std::to_string(draw.one(kFar)) : nearNumber(word, draw);
}

std::string otherSize(const std::string& word, Draw& draw) {
  if (draw.chance(0.15)) return "0";
  if (draw.chance(0.15)) return "1";
  constexpr int64_t kNear[] = {1, -1, 2, -2, 3};
  return std::to_string(std::max<int64_t>(0, std::stoll(word) + draw.one(kNear)));
}

/// Another element, one more, or one fewer.
void changeList(std::vector<std::string>& parts, Draw& draw, Change other) {
  const size_t place = draw.place(parts.size() + 1);
  const auto at = parts.begin() + static_cast<std::ptrdiff_t>(place);
  if (place == parts.size() || draw.chance(0.15)) {
    parts.insert(at, parts.empty() ? "1" : parts[draw.place(parts.size())]);
  } else if (draw.chance(0.15)) {
    parts.erase(at);
  } else {
    *at = other(*at, draw);
  }
}

std::string changedTensor(const std::string& word, Draw& draw, Change other) {
  constexpr const char* kTypes[] = {"float64", "float32", "int64", "int32", "bool", "complex128"};
  TensorWord tensor(word);
  if (!tensor.values.empty() && draw.chance(0.5)) {
    std::string& one = tensor.values[draw.place(tensor.values.size())];
    one = other(one, draw);
  } else if (draw.chance(0.1)) {
    tensor.type = draw.one(kTypes);
  } else {
    changeList(tensor.sizes, draw, otherSize);
  }
  return tensor.word();
}

std::string changed(const std::string& word, Draw& draw, Change other) {
  constexpr const char* kFractions[] = {"0", "-1", "0.5", "1e-5", "3"};
  constexpr const char* kFarFractions[] = {"1e300", "inf", "nan"};
  constexpr const char* kTexts[] = {"none",     "mean",   "sum",      "reflect",
                                    "constant", "linear", "ij,jk->ik"};
  switch (word[0]) {
    case 'T':
      return draw.chance(0.05) ? "-" : changedTensor(word, draw, other);
    case 'i':
      return 'i' + other(word.substr(1), draw);
    case 'f':
      if (other == farNumber && draw.chance(0.3)) return std::string("f") + draw.one(kFarFractions);
      return std::string("f") + draw.one(kFractions);
    case 'b':
      return word == "b0" ? "b1" : "b0";
    case 's':
      return std::string("s") + draw.one(kTexts);
    case 'I': {
      std::vector<std::string> parts = split(word.substr(1), ',');
      changeList(parts, draw, other);
      return 'I' + joined(parts, ',');
    }
    default:
      return word;
  }
}

// --- values of words
// -------------------------------------------------------------------------------------

at::Tensor tensorOf(const std::string& word, Draw& draw) {
  static const std::unordered_map<std::string, at::ScalarType> types = {
      {"float64", at::kDouble},
      {"float32", at::kFloat},
      {"float16", at::kHalf},
      {"bfloat16", at::kBFloat16},
      {"int64", at::kLong},
      {"int32", at::kInt},
      {"int16", at::kShort},
      {"int8", at::kChar},
      {"uint8", at::kByte},
      {"bool", at::kBool},
      {"complex64", at::kComplexFloat},
      {"complex128", at::kComplexDouble}};
  const TensorWord tensor(word);
  const at::ScalarType type = types.at(tensor.type);
  std::vector<int64_t> sizes;
  for (const std::string& size : tensor.sizes) sizes.push_back(std::stoll(size));
  at::Tensor t;
  if (type == at::kBool) {
    t = at::rand(sizes) > 0.5;
  } else if (c10::isIntegralType(type, false)) {
    t = at::ones(sizes, at::kLong);
    const std::vector<std::string>& values = tensor.values;
    const auto count = std::min<int64_t>(t.numel(), static_cast<int64_t>(values.size()));
    auto* data = t.mutable_data_ptr<int64_t>();
    for (int64_t i = 0; i < count; ++i) data[i] = std::stoll(values[static_cast<size_t>(i)]);
    t = t.to(type);
  } else {
    t = at::randn(sizes, at::isComplexType(type) ? at::kComplexDouble : at::kDouble).to(type);
  }
  // The same numbers in another layout of memory.
  if (t.dim() >= 2 && draw.chance(0.15)) t = t.transpose(0, -1).contiguous().transpose(0, -1);
  return t;
}

c10::IValue valueOf(const std::string& word) {
  const std::string rest = word.substr(1);
  switch (word[0]) {
    case '-':
      return {};
    case 'i':
      return int64_t{std::stoll(rest)};
    case 'f':
      return std::stod(rest);
    case 'b':
      return rest == "1";
    case 's':
      return rest;
    default:
      break;
  }
  const std::vector<std::string> parts = split(rest, ',');
  c10::List<int64_t> whole;
  c10::List<double> fractions;
  c10::List<bool> flags;
  for (const std::string& part : parts) {
    if (word[0] == 'I') whole.push_back(std::stoll(part));
    if (word[0] == 'F') fractions.push_back(std::stod(part));
    if (word[0] == 'B') flags.push_back(part == "1");
  }
  if (word[0] == 'F') return fractions;
  if (word[0] == 'B') return flags;
  return whole;
}

using Calls = std::unordered_map<std::string, std::vector<std::vector<std::string>>>;

/// The words of each call by its operator's name, brackets as words of their own.
Calls readCalls() {
  std::ifstream file(TC_KNOWN_CALLS);
  if (!file) throw std::runtime_error("can not read " TC_KNOWN_CALLS);
  Calls calls;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = split(line, ' ');
    std::vector<std::string> parts;
    for (size_t i = 1; i < words.size(); ++i) {
      const bool opens = words[i][0] == '[';
      if (opens) parts.emplace_back("[");
      if (const std::string rest = words[i].substr(opens ? 1 : 0); !rest.empty())
        parts.push_back(rest);
    }
    calls[words.at(0)].push_back(std::move(parts));
  }
  return calls;
}

const std::vector<std::vector<std::string>>& callsOf(const c10::OperatorHandle& op) {
  static const Calls calls = readCalls();
  static const std::vector<std::vector<std::string>> none;
  const auto found = calls.find(c10::toString(op.operator_name()));
  return found == calls.end() ? none : found->second;
}

std::string shown(const std::string& word) {
  if (word == "-") return "None";
  if (word[0] == 'b') return word == "b1" ? "True" : "False";
  return word.substr(1);
}

/// Puts rows in the place of an axis of some of the tensors, of the same size in all. Gives the
/// axes, those of one tensor after the other; −1 where it has none.
std::vector<int64_t> giveRows(std::vector<std::string>& words, Draw& draw) {
  std::vector<int64_t> axes;
  std::string size;
  for (std::string& word : words) {
    if (word[0] != 'T') continue;
    axes.push_back(-1);
    TensorWord tensor(word);
    std::vector<std::string>& sizes = tensor.sizes;
    if (sizes.empty() || draw.chance(0.25)) continue;
    if (size.empty()) size = draw.chance(0.6) ? sizes[0] : sizes[draw.place(sizes.size())];
    std::vector<size_t> places;
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] == size) places.push_back(i);
    }
    if (places.empty()) continue;
    const size_t axis = places[draw.chance(0.7) ? 0 : draw.place(places.size())];
    sizes[axis] = std::to_string(DrawnCall::kRows);
    word = tensor.word();
    axes.back() = static_cast<int64_t>(axis);
  }
  return axes;
}

/// Makes a call of words.
class Reader {
 public:
  Reader(const c10::OperatorHandle& op, const std::vector<std::string>& words, Draw& draw)
      : op_(op), words_(words), draw_(draw) {}

  DrawnCall call() {
    DrawnCall call{emptyNode(op_), {}, {}, {}};
    for (const c10::Argument& each : op_.schema().arguments()) {
      const std::string& word = words_.at(at_++);
      if (each.name() == "dtype" || each.name() == "layout" || each.name() == "memory_format") {
        call.node.slots.emplace_back(kindFor(each));
      } else if (word == "[") {
        ProgramSpec::Refs refs;
        for (; words_.at(at_) != "]"; ++at_) {
          const bool none = words_[at_] == "-";
          refs.values.push_back(none ? std::nullopt : std::optional(value(call, words_[at_])));
        }
        ++at_;
        call.node.slots.emplace_back(std::move(refs));
      } else if (word[0] == 'T') {
        call.node.slots.emplace_back(ProgramSpec::Ref{value(call, word)});
      } else {
        call.text += " " + each.name() + "=" + shown(word) + ",";
        call.node.slots.emplace_back(valueOf(word));
      }
    }
    return call;
  }

 private:
  int64_t value(DrawnCall& call, const std::string& word) {
    call.text += " " + word.substr(1) + ",";
    call.values.push_back(tensorOf(word, draw_));
    call.places.push_back({-1});
    return static_cast<int64_t>(call.values.size()) - 1;
  }

  /// A type now and then; no program has other numbers for these.
  c10::IValue kindFor(const c10::Argument& argument) {
    constexpr at::ScalarType kTypes[] = {at::kDouble, at::kFloat, at::kLong, at::kBool,
                                         at::kComplexDouble};
    if (argument.name() != "dtype" || draw_.chance(0.7)) return {};
    return draw_.one(kTypes);
  }

  const c10::OperatorHandle& op_;
  const std::vector<std::string>& words_;
  Draw& draw_;
  size_t at_ = 0;
};

}  // namespace

size_t knownCalls(const c10::OperatorHandle& op) { return callsOf(op).size(); }

DrawnCall knownCall(const c10::OperatorHandle& op, size_t which, Changes changes, uint64_t seed) {
  Draw draw(seed);
  at::manual_seed(~seed);  // other numbers than directions of tests have
  std::vector<std::string> words = callsOf(op).at(which);
  for (int64_t some = draw.whole(0, changes.most); some > 0 && !words.empty(); --some) {
    std::string& word = words[draw.place(words.size())];
    word = changed(word, draw, changes.far ? farNumber : nearNumber);
  }
  const std::vector<int64_t> axes = changes.rows ? giveRows(words, draw) : std::vector<int64_t>{};
  DrawnCall call = Reader(op, words, draw).call();
  for (size_t i = 0; i < std::min(axes.size(), call.places.size()); ++i) {
    call.places[i].axis = axes[i];
    if (axes[i] >= 0)
      call.text += " rows at " + std::to_string(axes[i]) + " of value " + std::to_string(i) + ",";
  }
  return call;
}

}  // namespace tc::test
