#include "core/program/views.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/program/named_arguments.h"
#include "core/program/schema.h"
#include "core/program/sizes.h"

namespace tc {
namespace {

using Argument = ProgramSpec::Argument;
using Node = ProgramSpec::Node;
using Ref = ProgramSpec::Ref;
using Size = ProgramSpec::Size;

/// How elements of a view are put back into what it is a view of.
enum class Inverse {
  kSlice,
  kSelect,
  kDiagonal,
  kItself,    ///< by the same operator
  kSwapped,   ///< by the same operator with its two lists of axes exchanged
  kPermute,   ///< by the inverse permutation
  kReshape,   ///< as the same elements in the same order
  kIdentity,  ///< as they are
  kDetach,
  kReal,
  kImaginary,
  kPairs,    ///< of complex numbers
  kComplex,  ///< of pairs
};

const std::unordered_map<std::string_view, Inverse>& inverses() {
  static const std::unordered_map<std::string_view, Inverse> table = {
      {"select", Inverse::kSelect},
      {"slice", Inverse::kSlice},
      {"diagonal", Inverse::kDiagonal},
      {"transpose", Inverse::kItself},
      {"t", Inverse::kItself},
      {"numpy_T", Inverse::kItself},
      {"mT", Inverse::kItself},
      {"swapaxes", Inverse::kItself},
      {"swapdims", Inverse::kItself},
      {"conj", Inverse::kItself},
      {"_conj", Inverse::kItself},
      {"movedim", Inverse::kSwapped},
      {"moveaxis", Inverse::kSwapped},
      {"permute", Inverse::kPermute},
      {"view", Inverse::kReshape},
      {"view_as", Inverse::kReshape},
      {"reshape", Inverse::kReshape},
      {"reshape_as", Inverse::kReshape},
      {"flatten", Inverse::kReshape},
      {"ravel", Inverse::kReshape},
      {"unflatten", Inverse::kReshape},
      {"squeeze", Inverse::kReshape},
      {"unsqueeze", Inverse::kReshape},
      {"alias", Inverse::kIdentity},
      {"contiguous", Inverse::kIdentity},
      {"to", Inverse::kIdentity},
      {"type_as", Inverse::kIdentity},
      {"positive", Inverse::kIdentity},
      {"lift_fresh", Inverse::kIdentity},
      {"resolve_conj", Inverse::kIdentity},
      {"resolve_neg", Inverse::kIdentity},
      {"dropout", Inverse::kIdentity},
      {"alpha_dropout", Inverse::kIdentity},
      {"feature_dropout", Inverse::kIdentity},
      {"feature_alpha_dropout", Inverse::kIdentity},
      {"detach", Inverse::kDetach},
      {"real", Inverse::kReal},
      {"imag", Inverse::kImaginary},
      {"view_as_real", Inverse::kPairs},
      {"view_as_complex", Inverse::kComplex},
  };
  return table;
}

/// `slice` of `aten::slice.Tensor`.
std::string_view bareName(std::string_view target) {
  constexpr std::string_view kNamespace = "aten::";
  if (!target.starts_with(kNamespace)) return {};
  target.remove_prefix(kNamespace.size());
  return target.substr(0, target.find('.'));
}

/// Their results are views or copies as their arguments lie in memory, whatever the schema says.
bool dependsOnLayout(std::string_view name) {
  static const std::unordered_set<std::string_view> names = {
      "reshape", "reshape_as", "flatten",      "ravel",      "contiguous",
      "to",      "type_as",    "resolve_conj", "resolve_neg"};
  return names.contains(name);
}

bool isDropout(std::string_view name) {
  return name.ends_with("dropout") && name != "native_dropout";
}

int64_t emitted(const Emit& emit, std::string target, std::vector<Argument> args) {
  return emit({std::move(target), std::move(args), {}, 1, {}});
}

/// A part of an axis, from `start` to `end`.
Node sliced(const Argument& value, const Argument& axis, Argument start, Argument end) {
  return {"aten::slice.Tensor", {value, axis, std::move(start), std::move(end)}, {}, 1, {}};
}

std::optional<Size> asSize(const Argument& argument) {
  if (const auto* size = std::get_if<Size>(&argument)) return *size;
  const auto* number = std::get_if<double>(&argument);
  if (number == nullptr) return {};
  return Size{Size::Kind::kConstant, static_cast<int64_t>(*number), 0, {}};
}

Size constant(int64_t number) { return {Size::Kind::kConstant, number, 0, {}}; }

/// A number stays one.
Size combinedSize(std::string_view function, const Size& left, const Size& right) {
  const Size size = sizeOf(function, {left, right});
  const bool known = left.kind == Size::Kind::kConstant && right.kind == Size::Kind::kConstant;
  return known ? constant(static_cast<int64_t>(toReal(evaluate(size, {})))) : size;
}
Argument combined(std::string_view function, const Size& left, const Size& right) {
  const Size size = combinedSize(function, left, right);
  return size.kind == Size::Kind::kConstant ? Argument(toReal(evaluate(size, {}))) : Argument(size);
}

/// Part `index` of parts of `length` along an axis.
std::optional<Node> part(const Argument& value, const Argument& axis, const Argument& length,
                         int64_t index) {
  const auto size = asSize(length);
  if (!size) return {};
  return sliced(value, axis, combined("*", *size, constant(index)),
                combined("*", *size, constant(index + 1)));
}

/// Part `index` of parts of these lengths along an axis.
std::optional<Node> partOf(const Argument& value, const Argument& axis, const Argument& lengths,
                           size_t index) {
  std::vector<Size> sizes;
  if (const auto* list = std::get_if<ProgramSpec::Sizes>(&lengths)) sizes = *list;
  if (const auto* list = std::get_if<std::vector<double>>(&lengths)) {
    for (const double each : *list) sizes.push_back(constant(static_cast<int64_t>(each)));
  }
  if (index >= sizes.size()) return {};
  Size start = constant(0);
  for (size_t i = 0; i < index; ++i) start = combinedSize("+", start, sizes[i]);
  return sliced(value, axis, start, combined("+", start, sizes[index]));
}

std::optional<Node> narrowed(const Argument& value, const NamedArguments& given) {
  const auto start = asSize(given["start"]);
  const auto length = asSize(given["length"]);
  if (!start || !length) return {};
  Argument end = combined("+", *start, *length);
  // From a start that counts from the end up to the end.
  const auto* last = std::get_if<double>(&end);
  if (start->kind == Size::Kind::kConstant && start->number < 0 && last != nullptr && *last == 0)
    end = static_cast<double>(std::numeric_limits<int64_t>::max());
  return sliced(value, given["dim"], given["start"], std::move(end));
}

/// `base` with `part` in the place of its view, by an operator that is not for complex numbers.
int64_t scattered(const Node& view, int64_t base, int64_t part, const Emit& emit) {
  Node node = view;
  node.target = view.target.substr(0, view.target.find('.')) + "_scatter";
  node.args.front() = Ref{base};
  node.args.insert(node.args.begin() + 1, Ref{part});
  return emit(std::move(node));
}

/// Where a slice begins or ends: no number at the beginning or the end of the axis.
using Place = std::optional<Argument>;

/// What is before `start`, `part`, and what is from `end` on, along an axis.
int64_t between(int64_t base, const Argument& axis, const Place& start, int64_t part,
                const Place& end, const Emit& emit) {
  if (!start && !end) return part;
  ProgramSpec::Refs pieces;
  if (start) pieces.values.emplace_back(emit(sliced(Ref{base}, axis, std::monostate{}, *start)));
  pieces.values.emplace_back(part);
  if (end) pieces.values.emplace_back(emit(sliced(Ref{base}, axis, *end, std::monostate{})));
  return emitted(emit, "aten::cat", {pieces, axis});
}

// NOLINTBEGIN(bugprone-return-const-ref-from-parameter): neither argument is a temporary
const Argument& orElse(const Argument& given, const Argument& otherwise) {
  return std::holds_alternative<std::monostate>(given) ? otherwise : given;
}
// NOLINTEND(bugprone-return-const-ref-from-parameter)

int64_t putSlice(const Node& view, int64_t base, int64_t part, const Emit& emit) {
  static const Argument kZero = 0.0;
  static const Argument kOne = 1.0;
  const NamedArguments given(view, findOperator(view.target).schema());
  const Argument axis = orElse(given["dim"], kZero);
  const Argument& start = orElse(given["start"], kZero);
  const Argument& end = given["end"];
  const auto* step = std::get_if<double>(&orElse(given["step"], kOne));
  const auto* along = std::get_if<double>(&axis);
  if (step != nullptr && *step == 1) {
    constexpr double kToTheEnd = 9007199254740991.0;  // as files end slices (resolve.cc)
    const auto* last = std::get_if<double>(&end);
    const bool toEnd =
        std::holds_alternative<std::monostate>(end) || (last != nullptr && *last >= kToTheEnd);
    const auto* first = std::get_if<double>(&start);
    const bool fromStart = first != nullptr && *first == 0;
    return between(base, axis, fromStart ? Place() : Place(start), part,
                   toEnd ? Place() : Place(end), emit);
  }
  if (along == nullptr) return scattered(view, base, part, emit);
  const Size length{Size::Kind::kAxis, base, static_cast<int64_t>(*along)};
  const int64_t places = emitted(emit, "aten::arange", {length});
  const int64_t chosen = emitted(emit, "aten::slice.Tensor",
                                 {Ref{places}, 0.0, start, end, orElse(given["step"], kOne)});
  return emitted(emit, "aten::index_copy", {Ref{base}, axis, Ref{chosen}, Ref{part}});
}

int64_t putElement(const Node& view, int64_t base, int64_t part, const Emit& emit) {
  const NamedArguments given(view, findOperator(view.target).schema());
  const auto* index = std::get_if<double>(&given["index"]);
  if (index == nullptr) return scattered(view, base, part, emit);
  const Argument& axis = given["dim"];
  const int64_t raised = emitted(emit, "aten::unsqueeze", {Ref{part}, axis});
  return between(base, axis, *index == 0 ? Place() : Place(*index), raised,
                 *index == -1 ? Place() : Place(*index + 1), emit);
}

/// `permute` with the axes that take it back.
std::optional<Argument> inversePermutation(const Argument& axes) {
  const auto* order = std::get_if<std::vector<double>>(&axes);
  if (order == nullptr) return {};
  const auto rank = static_cast<double>(order->size());
  std::vector<double> inverse(order->size());
  for (size_t i = 0; i < order->size(); ++i) {
    const double axis = (*order)[i] < 0 ? (*order)[i] + rank : (*order)[i];
    if (!(axis >= 0 && axis < rank)) return {};
    inverse[static_cast<size_t>(axis)] = static_cast<double>(i);
  }
  return inverse;
}

}  // namespace

Sharing sharingOf(const Node& node, const c10::OperatorHandle& op) {
  const std::string_view name = bareName(node.target);
  if (isDropout(name) && NamedArguments(node, op.schema()).isFalse("train")) return Sharing::kView;
  if (dependsOnLayout(name)) {
    if (!node.sharesMemory) return Sharing::kPerhaps;
    return *node.sharesMemory ? Sharing::kView : Sharing::kFresh;
  }
  if (returnsFreshMemory(op)) return Sharing::kFresh;
  const bool first = !node.args.empty() && std::holds_alternative<Ref>(node.args.front());
  const auto& returns = op.schema().returns();
  const bool view = first && returns.size() == 1 && returns.front().alias_info() != nullptr;
  return view ? Sharing::kView : Sharing::kPerhaps;
}

std::optional<Node> singleView(const Node& node, const c10::OperatorHandle& op, int64_t index) {
  const NamedArguments given(node, op.schema());
  const Argument& value = node.args.front();
  const std::string_view name = bareName(node.target);
  if (name == "narrow") return narrowed(value, given);
  if (!returnsList(op.schema())) return node;
  const Argument axis = std::holds_alternative<double>(given["dim"]) ? given["dim"] : Argument(0.0);
  if (name == "unbind") {
    return Node{"aten::select.int", {value, axis, static_cast<double>(index)}, {}, 1, {}};
  }
  if (name == "split_with_sizes")
    return partOf(value, axis, given["split_sizes"], static_cast<size_t>(index));
  if (name == "split" && given.takes("split_size")) {
    const Argument& length = given["split_size"];
    return asSize(length) ? part(value, axis, length, index)
                          : partOf(value, axis, length, static_cast<size_t>(index));
  }
  if (name == "chunk") {  // in parts of ⌈n / chunks⌉
    const auto chunks = asSize(given["chunks"]);
    if (!chunks || chunks->kind != Size::Kind::kConstant) return {};
    const Size length{Size::Kind::kAxis,
                      std::get<Ref>(value).value,
                      static_cast<int64_t>(std::get<double>(axis)),
                      {}};
    const Size rounded = sizeOf("+", {length, constant(chunks->number - 1)});
    return part(value, axis, sizeOf("//", {rounded, *chunks}), index);
  }
  return {};
}

int64_t viewOf(const Node& view, int64_t value, const Emit& emit) {
  const std::string_view name = bareName(view.target);
  Node node = view;
  if (name == "unflatten" || name == "view_as_complex")
    value = emitted(emit, "aten::contiguous", {Ref{value}});
  if (name == "view") node.target = "aten::reshape";
  if (name == "view_as") node.target = "aten::reshape_as";
  node.args.front() = Ref{value};
  return emit(std::move(node));
}

int64_t withDerivativesOf(int64_t old, int64_t changed, const Emit& emit) {
  // x − detach(x) is zero and has the derivatives of x.
  const Ref zero{emitted(emit, "aten::sub.Tensor",
                         {Ref{old}, Ref{emitted(emit, "aten::detach", {Ref{old}})}})};
  return emitted(emit, "aten::add.Tensor",
                 {Ref{emitted(emit, "aten::detach", {Ref{changed}})}, zero});
}

std::optional<int64_t> putBack(const Node& view, int64_t base, int64_t part, bool differentiated,
                               const Emit& emit) {
  const auto found = inverses().find(bareName(view.target));
  if (found == inverses().end()) return {};
  Node node = view;
  switch (found->second) {
    case Inverse::kSlice:
      return putSlice(view, base, part, emit);
    case Inverse::kSelect:
      return putElement(view, base, part, emit);
    case Inverse::kDiagonal:
      return scattered(view, base, part, emit);
    case Inverse::kItself:
      return viewOf(view, part, emit);
    case Inverse::kSwapped: {
      const NamedArguments given(view, findOperator(view.target).schema());
      node.args = {Ref{part}, given["destination"], given["source"]};
      node.kwargs.clear();
      return emit(std::move(node));
    }
    case Inverse::kPermute: {
      const auto axes =
          inversePermutation(NamedArguments(view, findOperator(view.target).schema())["dims"]);
      if (!axes) return {};
      return emitted(emit, "aten::permute", {Ref{part}, *axes});
    }
    case Inverse::kReshape:
      return emitted(emit, "aten::reshape_as", {Ref{part}, Ref{base}});
    case Inverse::kIdentity:
      return part;
    case Inverse::kDetach:
      return differentiated ? withDerivativesOf(base, part, emit) : part;
    case Inverse::kReal:
      return emitted(emit, "aten::complex",
                     {Ref{part}, Ref{emitted(emit, "aten::imag", {Ref{base}})}});
    case Inverse::kImaginary:
      return emitted(emit, "aten::complex",
                     {Ref{emitted(emit, "aten::real", {Ref{base}})}, Ref{part}});
    case Inverse::kPairs:
      return emitted(emit, "aten::view_as_complex",
                     {Ref{emitted(emit, "aten::contiguous", {Ref{part}})}});
    case Inverse::kComplex:
      return emitted(emit, "aten::view_as_real", {Ref{part}});
  }
  return {};
}

}  // namespace tc
