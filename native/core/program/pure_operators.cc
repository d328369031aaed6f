#include "core/program/pure_operators.h"

#include <ATen/core/jit_type.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace tc {
namespace {

using Argument = ProgramSpec::Argument;
using Node = ProgramSpec::Node;

/// Their results are truth values or places.
const std::unordered_set<std::string_view>& choices() {
  static const std::unordered_set<std::string_view> names = {
      "aten::eq",         "aten::ne",          "aten::lt",          "aten::le",
      "aten::gt",         "aten::ge",          "aten::greater",     "aten::greater_equal",
      "aten::less",       "aten::less_equal",  "aten::not_equal",   "aten::logical_and",
      "aten::logical_or", "aten::logical_xor", "aten::logical_not", "aten::isnan",
      "aten::isinf",      "aten::isfinite",    "aten::all",         "aten::any",
      "aten::argmax",     "aten::argmin",      "aten::argsort",     "aten::bitwise_and",
      "aten::bitwise_or", "aten::bitwise_not", "aten::bitwise_xor", "aten::__and__",
      "aten::__or__",     "aten::__xor__"};
  return names;
}

std::string_view withoutOverload(std::string_view target) {
  return target.substr(0, target.find('.'));
}

/// `aten::add.Tensor` for `aten::add_.Tensor`, `aten::__or__.Tensor` for `aten::__ior__.Tensor`.
std::optional<std::string> pureName(const std::string& target) {
  constexpr std::string_view kPython = "aten::__i";
  const size_t end = withoutOverload(target).size();
  const std::string_view name(target.data(), end);
  if (name.starts_with(kPython) && name.ends_with("__"))
    return "aten::__" + target.substr(kPython.size());
  if (!name.starts_with("aten::") || !name.ends_with('_')) return std::nullopt;
  return target.substr(0, end - 1) + target.substr(end);
}

/// Of the name the overload that takes the same arguments. `pow.Scalar` is not that of
/// `pow_.Scalar`: its first argument is the number; `pow.Tensor_Scalar` is.
std::optional<std::string> withSameArguments(const std::string& name,
                                             const c10::FunctionSchema& written) {
  const auto dot = name.find('.');
  std::vector<std::string> candidates = {name};
  if (dot == std::string::npos) {
    candidates.push_back(name + ".int");     // `transpose.int` of `transpose_`
    candidates.push_back(name + ".Tensor");  // `ldexp.Tensor` of `ldexp_`
  } else {
    candidates.push_back(name.substr(0, dot) + ".Tensor_" + name.substr(dot + 1));
    candidates.push_back(name.substr(0, dot));  // `floor_divide` of `floor_divide_.Tensor`
  }
  for (const std::string& candidate : candidates) {
    const size_t end = withoutOverload(candidate).size();
    const auto overload = end == candidate.size() ? "" : candidate.substr(end + 1);
    const auto op = c10::Dispatcher::singleton().findSchema({candidate.substr(0, end), overload});
    if (!op || op->schema().is_mutable()) continue;
    const auto& pure = op->schema().arguments();
    const auto& arguments = written.arguments();
    if (pure.size() < arguments.size()) continue;
    const bool same = std::equal(
        arguments.begin(), arguments.end(), pure.begin(),
        [](const auto& left, const auto& right) { return *left.type() == *right.type(); });
    if (same) return candidate;
  }
  return std::nullopt;
}

/// What stands for an element that nobody has written.
Argument unwritten(const Argument& dtype) {
  const auto* number = std::get_if<double>(&dtype);
  if (number == nullptr) return ProgramSpec::Float{std::nan("")};
  switch (static_cast<at::ScalarType>(static_cast<int8_t>(*number))) {
    case at::kBool:
      return 1.0;
    case at::kByte:
      return static_cast<double>(std::numeric_limits<uint8_t>::max());
    case at::kChar:
      return static_cast<double>(std::numeric_limits<int8_t>::min());
    case at::kShort:
      return static_cast<double>(std::numeric_limits<int16_t>::min());
    case at::kInt:
    case at::kLong:
      return static_cast<double>(std::numeric_limits<int32_t>::min());
    default:
      return ProgramSpec::Float{std::nan("")};
  }
}

}  // namespace

std::optional<PureForm> pureForm(const std::string& target, const c10::FunctionSchema& written) {
  static const std::unordered_map<std::string_view, std::string> others = {
      {"aten::zero_", "aten::zeros_like"},
      {"aten::fill_.Scalar", "aten::full_like"},
      {"aten::fill_.Tensor", "aten::copy"},
      {"aten::copy_", "aten::copy"},
  };
  if (const auto other = others.find(target); other != others.end())
    return PureForm{other->second, true};
  // Ones that rewriting/writes.cc puts in their place.
  if (target == "aten::fill_diagonal_" || target == "aten::polygamma_") return PureForm{target};
  const auto name = pureName(target);
  if (!name) return std::nullopt;
  const auto found = withSameArguments(*name, written);
  if (!found) return std::nullopt;
  const std::string_view bare = withoutOverload(*found);
  PureForm form{*found};
  form.changesType = choices().contains(bare);
  form.idempotent = bare == "aten::embedding_renorm";
  return form;
}

std::optional<Node> filledWithNothing(const Node& node) {
  struct Maker {
    std::string_view target;
    size_t leading;  ///< arguments in front of the value
    size_t dtype;    ///< place of the type, as TorchScript gives all arguments in order
  };
  static const std::unordered_map<std::string_view, Maker> makers = {
      {"aten::empty.memory_format", {"aten::full", 1, 1}},
      {"aten::empty_permuted", {"aten::full", 1, 2}},
      {"aten::empty_strided", {"aten::full", 1, 2}},
      {"aten::empty_like", {"aten::full_like", 1, 1}},
      {"aten::new_empty", {"aten::new_full", 2, 2}},
      {"aten::new_empty_strided", {"aten::new_full", 2, 3}},
  };
  const auto found = makers.find(node.target);
  if (found == makers.end()) return std::nullopt;
  const auto& [target, leading, dtype] = found->second;
  Node filled = node;
  filled.target = target;
  filled.args.resize(leading);
  for (const auto* name : {"size", "self", "physical_layout", "stride"}) {
    const auto named = filled.kwargs.find(name);
    if (named == filled.kwargs.end()) continue;
    const bool isSize = named->first == "size";
    if (isSize || named->first == "self") filled.args[isSize ? leading - 1 : 0] = named->second;
    filled.kwargs.erase(named);
  }
  for (const auto* name : {"memory_format", "pin_memory"}) filled.kwargs.erase(name);
  if (node.args.size() > dtype) filled.kwargs.try_emplace("dtype", node.args[dtype]);
  filled.args.push_back(unwritten(filled.kwargs["dtype"]));
  return filled;
}

bool hasDerivatives(const std::string& target) {
  const std::string_view name = withoutOverload(target);
  return name != "aten::detach" && !name.ends_with("_like") && !choices().contains(name);
}

}  // namespace tc
