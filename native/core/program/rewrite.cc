#include "core/program/rewrite.h"

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/program/schema.h"
#include "core/program/slots.h"

namespace tc {
namespace {

using Argument = ProgramSpec::Argument;
using Ref = ProgramSpec::Ref;
using Float = ProgramSpec::Float;
using Size = ProgramSpec::Size;
using List = std::vector<double>;

const Argument kNone = std::monostate{};

/// A node with its arguments by the names of the schema.
class Arguments {
 public:
  Arguments(const ProgramSpec::Node& node, const c10::FunctionSchema& schema)
      : node_(node), schema_(schema) {}

  /// None where it is not given.
  const Argument& operator[](std::string_view name) const {
    for (size_t i = 0; i < node_.args.size() && i < schema_.arguments().size(); ++i) {
      if (schema_.arguments()[i].name() == name) return node_.args[i];
    }
    const auto named = node_.kwargs.find(std::string(name));
    return named == node_.kwargs.end() ? kNone : named->second;
  }
  bool isTensor(std::string_view name) const { return std::holds_alternative<Ref>((*this)[name]); }
  bool isFalse(std::string_view name) const {
    const auto* flag = std::get_if<bool>(&(*this)[name]);
    return flag != nullptr && !*flag;
  }
  bool isTrue(std::string_view name) const {
    const auto* flag = std::get_if<bool>(&(*this)[name]);
    return flag != nullptr && *flag;
  }
  /// A number given, or else.
  std::optional<double> number(std::string_view name, std::optional<double> otherwise) const {
    const Argument& value = (*this)[name];
    if (const auto* real = std::get_if<Float>(&value)) return real->value;
    if (const auto* plain = std::get_if<double>(&value)) return *plain;
    return std::holds_alternative<std::monostate>(value) ? otherwise : std::nullopt;
  }
  bool takes(std::string_view name) const {
    return schema_.argumentIndexWithName(name).has_value();
  }

 private:
  const ProgramSpec::Node& node_;
  const c10::FunctionSchema& schema_;
};

class Rewriting {
 public:
  Rewriting(const std::vector<ProgramSpec::Node>& nodes, int64_t firstOutput, int64_t output)
      : firstOutput_(firstOutput), next_(firstOutput) {
    used_.insert(output);
    for (ProgramSpec::Node node : nodes)
      renumber(node, [&](const int64_t& value) { used_.insert(value); });
  }

  std::vector<ProgramSpec::Node> run(const std::vector<ProgramSpec::Node>& nodes, int64_t& output) {
    int64_t old = firstOutput_;
    for (ProgramSpec::Node node : nodes) {
      renumber(node, [&](int64_t& value) { value = current(value); });
      old_ = old;
      outputs_ = node.outputs;
      if (!replace(node)) {
        for (int64_t i = 0; i < node.outputs; ++i) renumbered_[old + i] = next_ + i;
        next_ += node.outputs;
        nodes_.push_back(std::move(node));
      }
      old += outputs_;
    }
    output = current(output);
    return std::move(nodes_);
  }

 private:
  /// The new number of a value. One that does not exist yet goes on not existing.
  int64_t current(int64_t value) const {
    if (value < firstOutput_) return value;
    const auto found = renumbered_.find(value);
    return found == renumbered_.end() ? std::numeric_limits<int64_t>::max() : found->second;
  }
  /// Whether somebody reads a result of the node at hand.
  bool isUsed(int64_t result) const { return used_.contains(old_ + result); }
  Argument add(const std::string& target, std::vector<Argument> args, int64_t outputs = 1) {
    nodes_.push_back({target, std::move(args), {}, outputs});
    next_ += outputs;
    return Ref{next_ - outputs};
  }
  /// The result of this number of the node at hand is this value.
  void is(int64_t result, const Argument& value) {
    renumbered_[old_ + result] = std::get<Ref>(value).value;
  }

  bool replace(ProgramSpec::Node& node) {
    const auto colon = node.target.find("::");
    if (colon == std::string::npos || node.target.rfind("aten::", 0) != 0) return false;
    const std::string name = node.target.substr(0, node.target.find('.', colon));
    const auto rule = rules().find(name);
    if (rule == rules().end()) return false;
    return (this->*rule->second)(node, Arguments(node, findOperator(node.target).schema()));
  }

  using Rule = bool (Rewriting::*)(ProgramSpec::Node&, const Arguments&);
  static const std::unordered_map<std::string, Rule>& rules() {
    static const std::unordered_map<std::string, Rule> table = {
        {"aten::batch_norm", &Rewriting::batchNorm},
        {"aten::native_batch_norm", &Rewriting::batchNorm},
        {"aten::_native_batch_norm_legit", &Rewriting::batchNorm},
        {"aten::_native_batch_norm_legit_functional", &Rewriting::batchNorm},
        {"aten::_native_batch_norm_legit_no_training", &Rewriting::batchNorm},
        {"aten::_batch_norm_no_update", &Rewriting::batchNorm},
        {"aten::_batch_norm_impl_index", &Rewriting::batchNorm},
        {"aten::cudnn_batch_norm", &Rewriting::batchNorm},
        {"aten::miopen_batch_norm", &Rewriting::batchNorm},
        {"aten::instance_norm", &Rewriting::instanceNorm},
        {"aten::group_norm", &Rewriting::groupNorm},
        {"aten::native_group_norm", &Rewriting::groupNorm},
        {"aten::cdist", &Rewriting::cdist},
        {"aten::_cdist_forward", &Rewriting::cdist},
        {"aten::_euclidean_dist", &Rewriting::cdist},
        {"aten::pdist", &Rewriting::pdist},
        {"aten::_pdist_forward", &Rewriting::pdist},
        {"aten::median", &Rewriting::contiguousInput},
        {"aten::nanmedian", &Rewriting::contiguousInput},
        {"aten::copy", &Rewriting::copy},
        {"aten::embedding", &Rewriting::denseGradient},
        {"aten::gather", &Rewriting::denseGradient},
    };
    return table;
  }

  // --- normalizations

  /// Axis 1, the channels, last: so that vectors over channels broadcast. A view; results keep its
  /// layout, so that the way back gives what lies like the input.
  Argument channelsLast(const Argument& x) { return add("aten::movedim.int", {x, 1.0, -1.0}); }
  Argument channelsBack(const Argument& x) { return add("aten::movedim.int", {x, -1.0, 1.0}); }
  static Argument channelsOf(const Argument& x) {
    return Size{Size::Kind::kAxis, std::get<Ref>(x).value, 1, {}};
  }

  bool batchNorm(ProgramSpec::Node&, const Arguments& given) {
    if (given.takes("training") && !given.isFalse("training")) return false;
    const auto eps = given.number(given.takes("eps") ? "eps" : "epsilon", std::nullopt);
    const bool complete = given.isTensor("input") && given.isTensor("running_mean") &&
                          given.isTensor("running_var") && eps;
    if (!complete) return false;
    // The functional form gives the running statistics last, as they were.
    const bool functional =
        given.takes("training") && outputs_ == 5 && !given.takes("cudnn_enabled");
    for (int64_t i = 1; i < (functional ? 3 : outputs_); ++i) {
      if (isUsed(i)) return false;
    }
    if (functional) {
      is(3, given["running_mean"]);
      is(4, given["running_var"]);
    }
    is(0, byStatistics(given, *eps));
    return true;
  }

  Argument byStatistics(const Arguments& given, double eps) {
    const Argument& x = given["input"];
    // As many as there are channels, or an error: one alone would broadcast.
    const Argument mean = add(
        "aten::view", {given["running_mean"], ProgramSpec::Sizes{std::get<Size>(channelsOf(x))}});
    Argument scale =
        add("aten::rsqrt", {add("aten::add.Scalar", {given["running_var"], Float{eps}})});
    if (given.isTensor("weight")) scale = add("aten::mul.Tensor", {scale, given["weight"]});
    const Argument centered = add("aten::sub.Tensor", {channelsLast(x), mean});
    return channelsBack(given.isTensor("bias")
                            ? add("aten::addcmul", {given["bias"], centered, scale})
                            : add("aten::mul.Tensor", {centered, scale}));
  }

  bool instanceNorm(ProgramSpec::Node&, const Arguments& given) {
    const auto eps = given.number("eps", std::nullopt);
    if (!given.isTensor("input") || !eps) return false;
    if (given.isFalse("use_input_stats")) {
      if (!given.isTensor("running_mean") || !given.isTensor("running_var")) return false;
      is(0, byStatistics(given, *eps));
      return true;
    }
    if (!given.isTrue("use_input_stats")) return false;
    const Argument& x = given["input"];
    const bool scaled = given.isTensor("weight");
    const Argument y = add(
        "aten::group_norm",
        {x, channelsOf(x), given["weight"], scaled ? given["bias"] : kNone, Float{*eps}, false});
    is(0, scaled ? y : shifted(y, given["bias"]));
    return true;
  }

  Argument shifted(const Argument& y, const Argument& bias) {
    if (!std::holds_alternative<Ref>(bias)) return y;
    return channelsBack(add("aten::add.Tensor", {channelsLast(y), bias}));
  }

  bool groupNorm(ProgramSpec::Node& node, const Arguments& given) {
    if (given.isTensor("weight") || !given.isTensor("bias")) return false;
    const Argument bias = given["bias"];
    // group_norm(input, num_groups, weight, bias, …), native_group_norm(input, weight, bias, …)
    const size_t place = node.target == "aten::group_norm" ? 3 : 2;
    if (place < node.args.size()) node.args[place] = kNone;
    node.kwargs.erase("bias");
    const Ref y{next_};
    next_ += outputs_;
    nodes_.push_back(node);
    for (int64_t i = 1; i < outputs_; ++i) is(i, Ref{y.value + i});
    is(0, shifted(y, bias));
    return true;
  }

  // --- distances

  /// `value` where `zero` is false, and 0 without derivatives elsewhere: `of` is called with
  /// something that is 1 there, so that no derivative inside is infinite.
  template <typename Function>
  Argument awayFromZero(const Argument& x, Function&& of) {
    const Argument zero = add("aten::eq.Scalar", {x, 0.0});
    const Argument inside = add("aten::masked_fill.Scalar", {x, zero, Float{1}});
    return add("aten::masked_fill.Scalar", {of(inside), zero, Float{0}});
  }
  Argument power(const Argument& x, double exponent) {
    return awayFromZero(x, [&](const Argument& inside) {
      return add("aten::pow.Tensor_Scalar", {inside, Float{exponent}});
    });
  }
  Argument sumOfLast(const Argument& x) {
    return add("aten::sum.dim_IntList", {x, List{-1}, false});
  }

  /// ‖d‖ₚ over the last axis.
  Argument length(const Argument& difference, double p) {
    if (p == 0) {  // how many differ
      const Argument differs = add("aten::ne.Scalar", {difference, 0.0});
      return add("aten::sum.dim_IntList", {differs, List{-1}, false, ProgramSpec::Precision{}});
    }
    if (p == 2) {
      const Argument squares = sumOfLast(add("aten::mul.Tensor", {difference, difference}));
      return awayFromZero(squares,
                          [&](const Argument& inside) { return add("aten::sqrt", {inside}); });
    }
    const Argument magnitude = add("aten::abs", {difference});
    if (p == 1) return sumOfLast(magnitude);
    if (std::isinf(p)) return add("aten::amax", {magnitude, List{-1}, false});
    return power(sumOfLast(power(magnitude, p)), 1 / p);
  }

  bool cdist(ProgramSpec::Node&, const Arguments& given) {
    const auto p = given.takes("p") ? given.number("p", 2) : 2;
    if (!given.isTensor("x1") || !given.isTensor("x2") || !p || !(*p >= 0)) return false;
    const Argument rows = add("aten::unsqueeze", {given["x1"], -2.0});
    const Argument columns = add("aten::unsqueeze", {given["x2"], -3.0});
    is(0, length(add("aten::sub.Tensor", {rows, columns}), *p));
    return true;
  }

  bool pdist(ProgramSpec::Node&, const Arguments& given) {
    const auto p = given.number("p", 2);
    if (!given.isTensor("self") || !p || !(*p >= 0)) return false;
    const Argument& x = given["self"];
    const Size count{Size::Kind::kAxis, std::get<Ref>(x).value, 0, {}};
    const Argument pairs = add("aten::triu_indices", {count, count, 1.0});
    const auto side = [&](double which) {
      return add("aten::index_select", {x, 0.0, add("aten::select.int", {pairs, 0.0, which})});
    };
    const Argument first = side(0);
    is(0, length(add("aten::sub.Tensor", {first, side(1)}), *p));
    return true;
  }

  // --- others

  bool contiguousInput(ProgramSpec::Node& node, const Arguments&) {
    if (node.args.empty() || !std::holds_alternative<Ref>(node.args[0])) return false;
    node.args[0] = add("aten::contiguous", {node.args[0]});
    return false;
  }

  bool copy(ProgramSpec::Node&, const Arguments& given) {
    if (!given.isTensor("self") || !given.isTensor("src")) return false;
    const Argument& self = given["self"];
    const Argument same = add("aten::type_as", {given["src"], self});
    is(0, add("aten::contiguous", {add("aten::expand_as", {same, self})}));
    return true;
  }

  bool denseGradient(ProgramSpec::Node& node, const Arguments&) {
    const auto& arguments = findOperator(node.target).schema().arguments();
    for (size_t i = 0; i < arguments.size(); ++i) {
      const std::string& name = arguments[i].name();
      if (name != "sparse" && name != "sparse_grad") continue;
      if (i < node.args.size()) node.args[i] = false;
      node.kwargs.erase(name);
    }
    return false;
  }

  int64_t firstOutput_;
  int64_t next_;         ///< number of the next new value
  int64_t old_ = 0;      ///< that the first result of the node at hand had
  int64_t outputs_ = 0;  ///< of the node at hand
  std::unordered_set<int64_t> used_;
  std::unordered_map<int64_t, int64_t> renumbered_;
  std::vector<ProgramSpec::Node> nodes_;
};

}  // namespace

std::vector<ProgramSpec::Node> rewritten(const std::vector<ProgramSpec::Node>& nodes,
                                         int64_t firstOutput, int64_t& output) {
  return Rewriting(nodes, firstOutput, output).run(nodes, output);
}

}  // namespace tc
