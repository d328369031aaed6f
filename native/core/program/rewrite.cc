#include "core/program/rewrite.h"

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/program/named_arguments.h"
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
    return (this->*rule->second)(node, NamedArguments(node, findOperator(node.target).schema()));
  }

  using Rule = bool (Rewriting::*)(ProgramSpec::Node&, const NamedArguments&);
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
        {"aten::polar", &Rewriting::polar},
        {"aten::view_as_complex", &Rewriting::viewAsComplex},
        {"aten::fill_diagonal_", &Rewriting::fillDiagonal},
        {"aten::embedding_renorm", &Rewriting::embeddingRenorm},
        {"aten::embedding", &Rewriting::denseGradient},
        {"aten::embedding_bag", &Rewriting::embeddingBag},
        {"aten::_embedding_bag", &Rewriting::embeddingBag},
        {"aten::_embedding_bag_forward_only", &Rewriting::embeddingBag},
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

  bool batchNorm(ProgramSpec::Node&, const NamedArguments& given) {
    if (given.takes("training") && !given.isFalse("training")) return byBatch(given);
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

  /// By the statistics of the batch, where there are no others to change: rows depend on one
  /// another.
  bool byBatch(const NamedArguments& given) {
    const auto eps = given.number("eps", std::nullopt);
    const bool changes = given.isTensor("running_mean") || given.isTensor("running_var");
    if (!given.isTrue("training") || changes || !given.isTensor("input") || !eps) return false;
    for (int64_t i = 1; i < outputs_; ++i) {
      if (isUsed(i)) return false;
    }
    const Argument channels = add("aten::transpose.int", {given["input"], 0.0, 1.0});
    const Argument flat = add("aten::flatten.using_ints", {channels, 1.0, -1.0});
    const Argument mean = add("aten::mean.dim", {flat, List{1}, true});
    const Argument centered = add("aten::sub.Tensor", {flat, mean});
    const Argument squares = add("aten::mul.Tensor", {centered, centered});
    const Argument variance = add("aten::mean.dim", {squares, List{1}, true});
    const Argument scale = add("aten::rsqrt", {add("aten::add.Scalar", {variance, Float{*eps}})});
    const Argument normal = add("aten::mul.Tensor", {centered, scale});
    const Argument shaped = add("aten::reshape_as", {normal, channels});
    Argument y = channelsLast(add("aten::transpose.int", {shaped, 0.0, 1.0}));
    if (given.isTensor("weight")) y = add("aten::mul.Tensor", {y, given["weight"]});
    if (given.isTensor("bias")) y = add("aten::add.Tensor", {y, given["bias"]});
    is(0, channelsBack(y));
    return true;
  }

  Argument byStatistics(const NamedArguments& given, double eps) {
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

  bool instanceNorm(ProgramSpec::Node&, const NamedArguments& given) {
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

  bool groupNorm(ProgramSpec::Node& node, const NamedArguments& given) {
    if (given.isTensor("weight") || !given.isTensor("bias")) return false;
    // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): it is taken out below
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

  bool cdist(ProgramSpec::Node&, const NamedArguments& given) {
    const auto p = given.takes("p") ? given.number("p", 2) : 2;
    if (!given.isTensor("x1") || !given.isTensor("x2") || !p || !(*p >= 0)) return false;
    const Argument rows = add("aten::unsqueeze", {given["x1"], -2.0});
    const Argument columns = add("aten::unsqueeze", {given["x2"], -3.0});
    is(0, length(add("aten::sub.Tensor", {rows, columns}), *p));
    return true;
  }

  bool pdist(ProgramSpec::Node&, const NamedArguments& given) {
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

  bool contiguousInput(ProgramSpec::Node& node, const NamedArguments&) {
    if (node.args.empty() || !std::holds_alternative<Ref>(node.args[0])) return false;
    node.args[0] = add("aten::contiguous", {node.args[0]});
    return false;
  }

  bool copy(ProgramSpec::Node&, const NamedArguments& given) {
    if (!given.isTensor("self") || !given.isTensor("src")) return false;
    const Argument& self = given["self"];
    const Argument same = add("aten::type_as", {given["src"], self});
    is(0, add("aten::contiguous", {add("aten::expand_as", {same, self})}));
    return true;
  }

  bool polar(ProgramSpec::Node&, const NamedArguments& given) {
    if (!given.isTensor("abs") || !given.isTensor("angle")) return false;
    const auto part = [&](const char* function) {
      return add("aten::mul.Tensor", {given["abs"], add(function, {given["angle"]})});
    };
    const Argument real = part("aten::cos");
    is(0, add("aten::complex", {real, part("aten::sin")}));
    return true;
  }

  /// Of pairs that lie anywhere: a view needs an even offset, which a parameter may not have.
  bool viewAsComplex(ProgramSpec::Node&, const NamedArguments& given) {
    if (!given.isTensor("self")) return false;
    const auto part = [&](double index) {
      return add("aten::select.int", {given["self"], -1.0, index});
    };
    const Argument real = part(0);
    is(0, add("aten::complex", {real, part(1)}));
    return true;
  }

  /// Of a matrix: `diag` takes no tensors of more axes, whose diagonal would be another.
  bool fillDiagonal(ProgramSpec::Node&, const NamedArguments& given) {
    if (!given.isTensor("self") || given.isTrue("wrap")) return false;
    const Argument& x = given["self"];
    const Argument value = add("aten::full_like", {add("aten::diag", {x}), given["fill_value"]});
    is(0, add("aten::diagonal_scatter", {x, value}));
    return true;
  }

  /// Rows that are looked up, no longer than `max_norm`.
  bool embeddingRenorm(ProgramSpec::Node&, const NamedArguments& given) {
    const auto longest = given.number("max_norm", std::nullopt);
    const auto p = given.number("norm_type", 2);
    if (!given.isTensor("self") || !given.isTensor("indices") || !longest || !p) return false;
    const Argument& table = given["self"];
    const Argument places = add("aten::reshape", {given["indices"], List{-1}});
    const Argument rows = add("aten::index_select", {table, 0.0, places});
    const Argument length = add("aten::linalg_vector_norm", {rows, Float{*p}, List{-1}, true});
    const Argument shrunk =
        add("aten::mul.Tensor",
            {rows, add("aten::mul.Scalar",
                       {add("aten::reciprocal", {add("aten::add.Scalar", {length, Float{1e-7}})}),
                        Float{*longest}})});
    const Argument tooLong = add("aten::gt.Scalar", {length, Float{*longest}});
    const Argument kept = add("aten::where.self", {tooLong, shrunk, rows});
    is(0, add("aten::index_copy", {table, 0.0, places, kept}));
    return true;
  }

  /// Whether a value is 0, 1·step, 2·step, …
  bool isRange(const Argument& value) const {
    int64_t first = next_;
    for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
      first -= node->outputs;
      if (first > std::get<Ref>(value).value) continue;
      const auto* start = node->args.empty() ? nullptr : std::get_if<double>(&node->args.front());
      const bool fromZero = node->args.size() < 2 || (start != nullptr && *start == 0);
      return node->target.rfind("aten::arange", 0) == 0 && fromZero;
    }
    return false;
  }

  /// Sums, means or maxima of looked-up rows, by operators that have second derivatives.
  bool embeddingBag(ProgramSpec::Node&, const NamedArguments& given) {
    for (int64_t i = 1; i < outputs_; ++i) {
      if (isUsed(i)) return false;
    }
    const auto mode = given.number("mode", 0);
    const auto padding = given.number("padding_idx", -1);
    const bool plain = given.isTensor("weight") && given.isTensor("indices") &&
                       given.isTensor("offsets") && !given.isTrue("scale_grad_by_freq") &&
                       !given.isTrue("include_last_offset") && padding && *padding < 0;
    // Bags of one length, as of a matrix of indices: others could begin anywhere.
    if (!plain || !mode || !isRange(given["offsets"])) return false;
    const auto axis = [](const Argument& value, int64_t number) {
      return Size{Size::Kind::kAxis, std::get<Ref>(value).value, number, {}};
    };
    const Argument& offsets = given["offsets"];
    const Size count = axis(given["indices"], 0);
    Argument rows = add("aten::embedding", {given["weight"], given["indices"]});
    if (given.isTensor("per_sample_weights")) {
      rows = add("aten::mul.Tensor",
                 {rows, add("aten::unsqueeze", {given["per_sample_weights"], -1.0})});
    }
    // The bag of a place is the last that starts at it or before it.
    const Argument places = add("aten::type_as", {add("aten::arange", {count}), offsets});
    const Argument after =
        add("aten::searchsorted.Tensor", {offsets, places, false, /*right=*/true});
    const Argument bags = add("aten::sub.Scalar", {after, 1.0});
    const Argument none =
        add("aten::new_zeros", {rows, ProgramSpec::Sizes{axis(offsets, 0), axis(rows, 1)}});
    if (*mode == 2) {
      const Argument wide = add("aten::expand_as", {add("aten::unsqueeze", {bags, -1.0}), rows});
      is(0, add("aten::scatter_reduce.two",
                {none, 0.0, wide, rows, std::string("amax"), /*include_self=*/false}));
      return true;
    }
    const Argument sums = add("aten::index_add", {none, 0.0, bags, rows});
    if (*mode == 0) {
      is(0, sums);
      return true;
    }
    const Argument ones = add("aten::new_ones", {rows, ProgramSpec::Sizes{count}});
    const Argument empty = add("aten::new_zeros", {rows, ProgramSpec::Sizes{axis(offsets, 0)}});
    const Argument counts = add("aten::index_add", {empty, 0.0, bags, ones});
    const Argument divisors = add("aten::unsqueeze", {add("aten::clamp_min", {counts, 1.0}), -1.0});
    is(0, add("aten::div.Tensor", {sums, divisors}));
    return true;
  }

  bool denseGradient(ProgramSpec::Node& node, const NamedArguments&) {
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
